"""The demonstration as a whole, for real, without its pauses."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from everest_system.demo.main import run
from everest_system.demo.stage import Stage
from everest_system.fsm.errors import RequestError
from everest_system.io.control.client import NotRunningError, ask

DEADLINE_S = 120.0
PROGRAM = (sys.executable, "-m", "everest_system", "demo", "--fast")

STORY = (
    r"A charging station on this machine",
    r"asks for the boot reason: PowerUp",
    r"1  A signed update",
    r"EVerest asks for firmware\.img, signed: Accepted",
    r" s  DownloadScheduled   for \d\d:\d\d:\d\d\.\d UTC",
    r" s  Downloading         32 MiB over HTTP",
    r" s  Downloaded ",
    r" s  SignatureVerified ",
    r" s  Installing ",
    r" s  InstallRebooting ",
    r"the machine goes down: the service has ended, EVerest too",
    r"asks for the boot reason: FirmwareUpdate",
    r"the CSMS has accepted the station again",
    r" s  Installed ",
    r"slot b is active and holds the image, SHA-256 [0-9a-f]{16}",
    r"slot a holds what the station was delivered with",
    r"2  The same request",
    r" s  Downloading$",
    r" s  Downloaded$",
    r" s  InvalidSignature ",
    r"both slots are as they were",
    r"3  The logs",
    r"system_api_DiagnosticsLog_\w+\.tar\.gz",
    r" s  Uploading ",
    r" s  Uploaded$",
    r"in the archive: everest\.log, its last 30 lines",
    r"in the archive: ocpp/messages\.log, its last 30 lines",
    r"The way that the first update took",
    r"UpdateRequested ─+▶ ACCEPTED$",
    r"Confirmed ─+▶ INSTALLED +Installed$",
    r"Where things are",
    r"Everything went as it should, in \d+\.\d s\.$",
)


class Mishap(Stage):
    """A stage on which somebody has tampered with the first image already."""

    def make_firmware(self):
        firmware = super().make_firmware()
        firmware.tampered.replace(firmware.image)
        return firmware


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary folders."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


def assert_told_in_order(text, story):
    lines = iter(text.splitlines())
    for wanted in story:
        assert any(re.search(wanted, line) for line in lines), f"not told, or not in its place: {wanted}\n{text}"


def test_everything_goes_as_it_should(temporary, monkeypatch):
    """The demonstration tells the whole story in plain lines, ends with 0 and leaves nothing behind."""
    monkeypatch.setenv("EVEREST_SYSTEM_MQTT__PORT", "1")  # a station's own settings are not the demonstration's
    done = subprocess.run(PROGRAM, capture_output=True, text=True, timeout=DEADLINE_S)
    assert (done.returncode, done.stderr) == (0, "")
    assert_told_in_order(done.stdout, STORY)
    assert "\x1b" not in done.stdout
    story, _ = done.stdout.split("The way that")
    assert max(map(len, story.splitlines())) <= 80
    assert "removed" in done.stdout
    assert list(temporary.iterdir()) == []


def test_what_is_kept_can_be_looked_at(tmp_path):
    """With --keep all files are left where the last lines say, a drawing with the path among them, and nothing runs."""
    kept = tmp_path / "kept [1]"  # brackets mean something in the patterns of log files
    done = subprocess.run([*PROGRAM, "--keep", kept], capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    places = dict(re.findall(r"^  (\w.*?)  +(/.*)$", done.stdout, re.MULTILINE))
    assert places["active firmware"] == f"{kept}/state/slots/current -> b"
    for what in ("configuration", "state, history", "uploaded logs", "service's log", "drawing"):
        assert Path(places[what]).stat().st_size > 0, what
    assert "(1) UpdateRequested" in Path(places["drawing"]).read_text()
    assert (kept / "state/slots/b/image").read_bytes() == (kept / "served/firmware.img").read_bytes()
    assert list((kept / "state/artifacts").iterdir()) == []
    assert "not a secret" not in Path(places["service's log"]).read_text()
    with pytest.raises(NotRunningError):
        ask(kept / "state/control.sock", "status")


def test_a_status_other_than_the_one_due(temporary, capsys):
    """A status other than the one due ends the demonstration with 1, the reason, and the end of the service's log."""
    assert run(fast=True, keep=None, stage=Mishap) == 1
    told = capsys.readouterr()
    assert "Everything went" not in told.out
    reason, heading, *log = told.err.splitlines()
    due = "InvalidSignature of request 101 came, SignatureVerified of request 101 was due; the service is in "
    why = "INVALID_SIGNATURE: the signature does not fit"
    assert re.match(rf"everest-system demo: failed after \d+\.\d s: {due}{why}", reason)
    assert "log" in heading
    assert '"firmware: DOWNLOADED -> INVALID_SIGNATURE"' in "".join(log)
    assert list(temporary.iterdir()) == []


def test_a_service_that_does_not_start(tmp_path, capsys):
    """A service that ends by itself is told with its exit code and its last words, and kept files are pointed to."""
    words = "import sys; sys.exit('no room for me')"

    def stage(folder, pace):
        return Stage(folder, pace, service=(sys.executable, "-c", words))

    assert run(fast=True, keep=tmp_path / "kept", stage=stage) == 1
    told = capsys.readouterr().err
    assert "the service ended by itself, with exit code 1" in told
    assert "  no room for me\n" in told
    assert f"all files are in {tmp_path / 'kept'}" in told


def test_a_folder_that_is_in_use_is_left_alone(tmp_path):
    """A folder for --keep that has something in it, or is none, is refused before anything starts."""
    (tmp_path / "mine").touch()
    with pytest.raises(RequestError, match="is not empty"):
        run(fast=True, keep=tmp_path)
    with pytest.raises(RequestError, match="cannot be used: "):
        run(fast=True, keep=tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_takes_everything_down(temporary, number, code):
    """Ctrl-C in the middle ends all that was started within seconds, removes the files, and is told in one line."""
    with subprocess.Popen(PROGRAM, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        while "PowerUp" not in program.stdout.readline():
            assert program.poll() is None
        (folder,) = temporary.iterdir()
        assert ask(folder / "state/control.sock", "status")["broker_connected"]
        program.send_signal(number)
        _, errors = program.communicate(timeout=15)
    assert program.returncode == code
    assert errors == f"everest-system demo: interrupted by {number.name}; everything has been ended\n"
    with pytest.raises(NotRunningError):
        ask(folder / "state/control.sock", "status")
    assert list(temporary.iterdir()) == []
