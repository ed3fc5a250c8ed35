"""The commands against a real service, and against what it leaves behind."""

import json
import re

import pytest
from support.cli import run_cli
from support.http_server import File, HttpServer, Reply
from support.service_process import ServiceProcess

from everest_system.fsm.timestamps import parse_rfc3339

IMAGE = bytes(4 << 20)
REFUSED = "refused: the service's log says why\n"
STEPS = ["ACCEPTED", "DOWNLOADING", "DOWNLOAD_PAUSED"]


def paused(service: ServiceProcess, http: HttpServer) -> list[object]:
    """A service with a download that is paused in the middle; returns the option for its configuration."""
    config: list[object] = ["-c", service.config_file]
    http.files["/fw.bin"] = File(IMAGE * 2, etag='"one"')
    http.plan("/fw.bin", Reply(stall_at=5 << 20), Reply())
    service.start()
    location = http.url("/fw.bin", user="fleet", password="secret")
    assert run_cli("request", "update-firmware", "--location", location, "--request-id", 7, *config) == (
        0, "Accepted\n", "",
    )  # fmt: skip
    service.wait_for_status(lambda told: told["firmware"].get("received", 0) > 0)
    _, out, _ = run_cli("status", *config)
    assert "DOWNLOADING  request 7" in out
    assert re.search(r"█ +\d+ %|░ +\d+ %", out)
    assert run_cli("pause", *config) == (0, "paused\n", "")
    return config


def test_status_is_the_same_with_and_without_a_service(service: ServiceProcess, http: HttpServer) -> None:
    """What the running service tells, its store tells as well, save that nothing runs and what only lives in memory."""
    config = paused(service, http)
    code, out, err = run_cli("status", "--json", *config)
    running = json.loads(out)
    assert (code, err, running["running"], running["broker_connected"]) == (0, "", True, True)
    assert "secret" not in out
    service.stop()
    code, out, err = run_cli("status", "--json", *config)
    stored = json.loads(out)
    assert (code, err, stored["running"], stored["broker_connected"]) == (0, "", False, False)
    before, after = (report["modules"]["system_api"]["firmware"] for report in (running, stored))
    assert after.pop("progress") == {"done": before["received"], "total": len(IMAGE) * 2}
    before.pop("progress", None)
    assert after == before
    assert stored["platform"] == running["platform"]
    code, out, _ = run_cli("status", *config)
    assert code == 0
    assert out.startswith("No service is running")
    assert "paused by the operator" in out


def test_history_lists_what_happened(service: ServiceProcess, http: HttpServer) -> None:
    """Each transition has its line and its object, the newest last, with and without a service."""
    config = paused(service, http)
    code, out, _ = run_cli("history", "--json", *config)
    rows = json.loads(out)
    assert code == 0
    firmware = [row for row in rows if row["machine"] == "firmware"]
    assert [row["to"] for row in firmware] == STEPS
    assert {row["request_id"] for row in firmware} == {7}
    assert parse_rfc3339(rows[0]["time"]) <= parse_rfc3339(rows[-1]["time"])
    service.stop()
    heading, *lines = run_cli("history", *config)[1].splitlines()
    assert heading.split() == ["TIME", "MACHINE", "REQUEST", "FROM", "TO", "EVENT", "DETAIL"]
    assert re.fullmatch(r"\S+Z +firmware +7 +DOWNLOADING +→ +DOWNLOAD_PAUSED +PauseRequested", lines[-1])
    assert len({line.index("→") for line in lines}) == 1
    assert run_cli("history", "--limit", 1, *config)[1].splitlines()[1:] == lines[-1:]
    assert run_cli("history", "--module", "other", *config)[:2] == (2, "")


def test_live_drawing_marks_state_and_path(service: ServiceProcess, http: HttpServer) -> None:
    """--live shows the way from the request to the present state, from the service and from its store."""
    config = paused(service, http)
    live = ["diagram", "firmware", "--live", *config]
    code, text, _ = run_cli(*live, "--format", "text")
    assert code == 0
    assert [line.split("▶")[1].split()[0] for line in text.splitlines()[1:]] == STEPS
    _, dot, _ = run_cli(*live)
    assert "penwidth=4" in next(line for line in dot.splitlines() if line.strip().startswith("DOWNLOAD_PAUSED ["))
    service.stop()
    assert run_cli(*live, "--format", "text")[1] == text
    for machine in ("logs", "presence", "platform"):
        assert run_cli("diagram", machine, "--live", *config)[0] == 0
    assert run_cli(*live, "--module", "other")[0] == 2


def test_operator_is_told_when_there_is_nothing_to_do(service: ServiceProcess, http: HttpServer) -> None:
    """Resume ends a pause; a second one, one for a foreign module, and any without a service are one line."""
    config = paused(service, http)
    assert run_cli("resume", "--module", "system_api", *config) == (0, "resumed\n", "")
    assert run_cli("resume", *config) == (1, "", "everest-system: no download is paused\n")
    code, _, err = run_cli("resume", "--module", "other", *config)
    assert (code, err.count("\n"), "other is not served; station.module_ids: system_api" in err) == (2, 1, True)
    service.stop()
    code, out, err = run_cli("pause", *config)
    assert (code, out) == (1, "")
    assert err.startswith("everest-system: no service is running")


def test_reset_boots_the_station(service: ServiceProcess) -> None:
    """The operator's reset is a boot with the reason LocalReset, soft or not."""
    service.start()
    since = len(service.log)
    assert run_cli("reset", "-c", service.config_file) == (0, "resetting\n", "")
    service.wait_for("connected to the broker", since=since)
    assert run_cli("request", "get-boot-reason", "-c", service.config_file) == (0, "LocalReset\n", "")


def test_requests_are_followed_to_their_end(service: ServiceProcess, http: HttpServer) -> None:
    """--watch prints each status and ends with the job: 0 after a success, 1 after a failure."""
    http.files["/fw.bin"] = File(IMAGE)
    service.start()
    common = ["--watch", "-c", service.config_file]
    update = ["request", "update-firmware", "--allow-installation", "--heartbeat", "--retries", 1]
    code, out, _ = run_cli(*update, "--location", http.url("/fw.bin"), *common)
    words = [line.split()[-1] for line in out.splitlines()]
    assert (code, words) == (0, ["Accepted", "Downloading", "Downloaded", "Installing", "Installed"])
    code, out, err = run_cli(*update, "--location", http.url("/none"), *common)
    words = [line.split()[-1] for line in out.splitlines()]
    assert (code, words) == (1, ["Accepted", "Downloading", "DownloadFailed"])
    assert err == "failed: `everest-system status` says why\n"
    stays = http.url("/fw.bin") + "#disable_connectors_during_install=false"
    code, out, _ = run_cli(*update, "--location", stays, *common)
    words = [line.split()[2] for line in out.splitlines()[1:]]
    assert (code, words) == (0, ["Downloading", "Downloaded", "Installing", "Installed"])
    assert "Downloaded  (the connectors stay in service: no permission is needed)" in out
    code, out, _ = run_cli("request", "upload-logs", "--location", http.url("/logs/"), *common)
    reply, *statuses = out.splitlines()
    assert code == 0
    assert re.fullmatch(r"Accepted \S+\.tar\.gz", reply)
    assert [line.split()[-1] for line in statuses] == ["Uploading", "Uploaded"]


def test_replies_are_printed_and_judged(service: ServiceProcess) -> None:
    """Each command has its reply in words, and the exit code says whether it was a yes."""
    service.start()
    config = ["-c", service.config_file]
    assert run_cli("request", "is-reset-allowed", "--type", "hard", *config) == (0, "true\n", "")
    assert run_cli("request", "set-system-time", *config) == (0, "true\n", "")
    assert run_cli("request", "set-system-time", "--time", "whenever", *config)[0] == 2
    assert run_cli("request", "allow-installation", *config) == (0, "sent\n", "")
    assert run_cli("request", "configure-network", *config) == (1, '{"status": "NotSupported"}\n', "")
    assert run_cli("request", "upload-logs", "--location", "gopher://h/", *config) == (1, "Rejected\n", REFUSED)
    assert run_cli("request", "update-firmware", "--location", "x", "--watch", *config) == (1, "Rejected\n", REFUSED)
    assert run_cli("request", "update-firmware", "--location", "x", "--allow-installation", *config)[0] == 2
    since = len(service.log)
    assert run_cli("request", "reset", "--type", "Soft", "--scheduled", *config) == (0, "sent\n", "")
    service.wait_for("platform: IDLE -> RESET_ACCEPTED", since=since)


def test_silence_is_explained(service: ServiceProcess, http: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches is told why nothing comes: the service holds it back, or something has to be done first."""
    from everest_system.commands import conversation

    monkeypatch.setattr(conversation, "_PATIENCE_S", 0.0)
    http.files["/fw.bin"] = File(IMAGE)
    service.configure({"station": {"reply_settle_s": 0.5}, "firmware": {"permission_timeout_s": 0.5}})
    service.start()
    upload = ["request", "upload-logs", "--location", http.url("/logs/"), "--watch", "-c", service.config_file]
    code, _, err = run_cli(*upload)
    assert (code, "no status yet" in err) == (0, True)
    update = ["request", "update-firmware", "--location", http.url("/fw.bin"), "--watch", "-c", service.config_file]
    code, _, err = run_cli(*update)
    assert (code, "`everest-system request allow-installation` gives it" in err) == (1, True)
    monkeypatch.undo()
    assert run_cli(*upload)[2] == ""


def test_no_broker_is_one_line(service: ServiceProcess) -> None:
    """Without a broker a request fails at once."""
    service.configure({"mqtt": {"port": 1}})
    code, out, err = run_cli("request", "get-boot-reason", "-c", service.config_file)
    assert (code, out, err.count("\n")) == (1, "", 1)


def test_several_modules_have_to_be_told_apart(service: ServiceProcess) -> None:
    """With several modules one has to be named, and the history says whose each row is."""
    service.configure({"station": {"module_ids": ["one", "two"]}})
    service.start()
    config = ["-c", service.config_file]
    code, _, err = run_cli("request", "get-boot-reason", *config)
    assert (code, "station.module_ids: one, two" in err) == (2, True)
    for module_id in ("one", "two"):
        upload = ["request", "upload-logs", "--location", "http://127.0.0.1:1/", "--module", module_id]
        assert run_cli(*upload, *config)[0] == 0
    service.wait_for(lambda line: line.get("module_id") == "two" and line["event"].startswith("logs: "))
    _, out, _ = run_cli("status", *config)
    assert ("\none\n" in out, "\ntwo\n" in out) == (True, True)
    _, out, _ = run_cli("history", *config)
    assert out.split()[:2] == ["TIME", "MODULE"]


def test_state_that_cannot_be_had_is_one_line(service: ServiceProcess) -> None:
    """Status and history say where they looked when no service ever ran there."""
    for command in ("status", "history", "diagram"):
        arguments = ["firmware", "--live"] if command == "diagram" else []
        code, out, err = run_cli(command, *arguments, "-c", service.config_file)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "no service has run" in err
