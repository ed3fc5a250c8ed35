"""The text form of a status report."""

from typing import Any

from everest_system.commands.status_text import status_text

IDLE: dict[str, Any] = {"state": "IDLE", "timers": []}


def report(firmware: dict[str, Any] = IDLE, *, running: bool = True, presence: str = "PRESENT", **more: Any) -> Any:
    module = {
        "messages_waiting": 0,
        "presence": {"state": presence, "everest": 1, "timers": []},
        "firmware": firmware,
        "logs": IDLE,
        **more,
    }
    platform = {**IDLE, "boot_id": "1", "boot_reason": "PowerUp"}
    return {
        "running": running,
        "version": "1.2.3",
        "broker_connected": False,
        "platform": platform,
        "modules": {"system_api": module},
    }


def test_running_download_shows_all_that_is_known() -> None:
    """State, request, location, progress, attempts, reason and timers have their lines, below each other."""
    firmware = {
        "state": "DOWNLOADING",
        "request_id": 7,
        "location": "http://h/fw.img",
        "signed": True,
        "attempts": 2,
        "received": 500,
        "last_status": "Downloading",
        "reason": "reset by \x1b[2Jpeer",
        "progress": {"done": 5_000_000, "total": 20_000_000},
        "timers": [
            {"name": "RetryTimeReached", "in_s": 42.2, "at": "2026-11-22T08:00:00.000Z"},
            {"name": "DownloadTimedOut", "in_s": 0.0, "at": "2026-11-22T07:00:00.000Z"},
        ],
    }
    assert list(status_text(report(firmware, messages_waiting=2, presence="ABSENT"))) == [
        "everest-system 1.2.3 is running",
        "  Broker      not connected",
        "  Platform    IDLE  booted: PowerUp",
        "",
        "system_api",
        "  EVerest     ABSENT  EVerest is not listening",
        "  Firmware    DOWNLOADING  request 7",
        "              http://h/fw.img  (signed)",
        "              ██████░░░░░░░░░░░░░░░░░░  25 %  5.0 MB of 20.0 MB",
        "              2 attempts used, last status Downloading",
        "              reset by \\x1b[2Jpeer",
        "              RetryTimeReached in 42 s, at 2026-11-22T08:00:00.000Z",
        "              DownloadTimedOut due now, at 2026-11-22T07:00:00.000Z",
        "  Logs        IDLE",
        "  Messages    2 waiting until EVerest listens",
    ]


def test_operators_pause_is_told_from_a_broken_connection() -> None:
    """A held download says who has to act; what was received is shown without a bar."""
    paused = {"state": "DOWNLOAD_PAUSED", "request_id": 7, "received": 1000, "held": True, "attempts": 1, "timers": []}
    lines = list(status_text(report(paused)))
    assert lines[6:9] == [
        "  Firmware    DOWNLOAD_PAUSED  request 7",
        "              1.0 kB received",
        "              1 attempt used, paused by the operator",
    ]


def test_percentages_and_unknown_totals_have_no_sizes_made_up() -> None:
    """A percentage is no size, and without a total there is no bar."""
    percent = {"state": "INSTALLING", "progress": {"done": 40, "total": 100}, "timers": []}
    unknown = {"state": "DOWNLOADING", "progress": {"done": 40, "total": None}, "timers": []}
    assert list(status_text(report(percent)))[7].endswith("40 %")
    assert list(status_text(report(unknown)))[7].strip() == "40 B done"


def test_nothing_running_says_so_and_guesses_nothing_of_everest() -> None:
    """Without a service there is no word on broker and EVerest."""
    lines = list(status_text(report(running=False)))
    assert lines[0] == "No service is running; this is what the next one will go on with"
    assert not any("Broker" in line or "EVerest" in line for line in lines)


def test_connectors_that_stay_in_service_are_told() -> None:
    """An update that leaves the connectors alone says so; any other says nothing of them."""
    update = {"state": "INSTALLING", "request_id": 7, "last_status": "Installing", "timers": []}
    said = "              last status Installing, the connectors stay in service"
    for says, lines in ((False, 1), (True, 0), (None, 0)):
        assert list(status_text(report({**update, "disable_connectors": says}))).count(said) == lines
