"""The journal, commands and the service's own words: in the archive where they are there, in the manifest if not."""

import json
import os
import shutil
import sys
import tarfile
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from everest_system.fsm.errors import CanceledError
from everest_system.io.logs.archive import collect
from everest_system.io.logs.collect_request import CollectError, CollectRequest
from everest_system.io.logs.journal import FORMS, journal_argv
from everest_system.io.logs.masking import PASSWORDS
from everest_system.io.logs.sources import LogCommand, LogSource
from everest_system.io.logs.window import LogWindow

NAME = "s.tar.gz"
BASE = datetime(2026, 11, 22, 9, 30, 0, 250_000, tzinfo=UTC)
JOURNALCTL = """\
#!{python} -S
import sys
forms = {{"--output=short-iso-precise": "text", "--output=export": "export"}}
known = "--no-pager --utc".split()
rest = [one for one in sys.argv[1:] if one not in known]
assert len(rest) == len(sys.argv) - 1 - len(known)
form = forms[rest.pop(0)]
if form == "export":
    assert rest.pop(0) == "--quiet"
assert all(one.partition("=")[0] in ("--since", "--until", "--unit", "--priority") for one in rest), rest
with open({log!r}, "a") as log:
    print(form, *rest, sep="|", file=log)
{body}
"""


class Machine:
    """A machine with a journal as the test likes it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.spool, self.bin = root, root / "spool", root / "bin"
        self.bin.mkdir()
        self.canceled = threading.Event()
        monkeypatch.setenv("PATH", str(self.bin))

    def journalctl(self, body: str) -> None:
        """Let a program be there that checks its arguments and does `body`, where `form` is text or export."""
        program = self.bin / "journalctl"
        program.write_text(JOURNALCTL.format(python=sys.executable, log=str(self.root / "asked"), body=body))
        program.chmod(0o755)

    @property
    def asked(self) -> list[str]:
        return (self.root / "asked").read_text().splitlines()

    def collect(self, window: LogWindow = LogWindow(), max_size_bytes: int = 1 << 30, documents=None, **source):  # noqa: B008
        self.source = LogSource((), **source)
        request = CollectRequest(
            self.source,
            window,
            self.spool,
            NAME,
            max_size_bytes=max_size_bytes,
            masks=(PASSWORDS,),
            documents=documents or {},
        )
        request = CollectRequest.from_json(request.to_json())
        collect(request, canceled=self.canceled, on_progress=lambda *_: None)
        assert [path.name for path in self.spool.iterdir()] == [NAME]
        with tarfile.open(self.spool / NAME) as archive:
            members = {info.name: archive.extractfile(info).read() for info in archive}
        self.manifest = json.loads(members.pop("manifest.json"))
        return members

    @property
    def left_out(self) -> dict[str, str]:
        return {one["path"]: one["reason"] for one in self.manifest["left_out"]}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without any journal yet."""
    return Machine(tmp_path, monkeypatch)


def test_the_journal_as_text_and_for_export(machine):
    """Both ways of writing it are in the archive, asked for with the window in UTC, units and priority."""
    machine.journalctl("print(form, 'ftp://u:pw@h')")
    zone = timezone(timedelta(hours=1))
    window = LogWindow(BASE.astimezone(zone), (BASE + timedelta(minutes=5)).replace(tzinfo=None))
    members = machine.collect(window, journal=True, journal_units=("everest.service", "x"), journal_priority="warning")
    assert members == {
        "journal/journal.txt": b"text ftp://u:**@h\n",
        "journal/journal.export": b"export ftp://u:**@h\n",
    }
    rest = (
        "--since=2026-11-22 09:30:00.250000 UTC|--until=2026-11-22 09:35:00.250000 UTC"
        "|--unit=everest.service|--unit=x|--priority=warning"
    )
    assert machine.asked == [f"text|{rest}", f"export|{rest}"]
    assert machine.manifest["masked"] == {"url_password": 2}
    taken = machine.manifest["taken"]
    assert [one["member"] for one in taken] == list(members)
    assert taken[0]["journal"] == journal_argv(machine.source, window, FORMS[0])
    assert taken[0]["bytes"] == len(members["journal/journal.txt"])
    assert machine.manifest["bytes"] == sum(map(len, members.values()))


@pytest.mark.parametrize(
    ("oldest", "since"),
    [
        (datetime(1, 1, 1, tzinfo=UTC).replace(tzinfo=None), "1970-01-01 00:00:00.000000 UTC"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), "1970-01-01 00:00:00.000000 UTC"),
    ],
)
def test_times_before_systemd(oldest, since):
    """A window that begins before any journal could is asked for as systemd can read it."""
    assert f"--since={since}" in journal_argv(LogSource((), journal=True), LogWindow(oldest), FORMS[0])


def test_without_journalctl(machine):
    """A machine without systemd has an archive that says so."""
    assert machine.collect(journal=True) == {}
    assert machine.left_out == {"journal": "journalctl was not found"}
    assert machine.manifest["errors"] == []


def test_a_journal_that_fails(machine):
    """What journalctl complains of is in the manifest, in one line."""
    machine.journalctl("sys.exit('first\\nno \\x07journal')")
    assert machine.collect(journal=True) == {}
    assert machine.left_out == {"journal": "journalctl failed"}
    error = {"source": "journal", "error": "journalctl ended with exit code 1: first no journal"}
    assert machine.manifest["errors"] == [error, error]


def test_what_the_journal_does_not_let_us_read(machine):
    """What journalctl says beside a journal that it gives is in the manifest: an empty one would tell nothing."""
    machine.journalctl("if form == 'text': print('Hint: not seeing\\n      the system.', file=sys.stderr)")
    assert set(machine.collect(journal=True)) == {"journal/journal.txt", "journal/journal.export"}
    assert machine.manifest["errors"] == [{"source": "journal", "error": "Hint: not seeing the system."}]


def test_of_a_long_journal_the_newest_records_are_kept(machine):
    """Whole records, as many of the last as fit, and a note."""
    machine.journalctl(
        "for n in range(1000): print(f'line {n:04}') if form == 'text' else print(f'__CURSOR={n:04}\\nMESSAGE=x\\n')"
    )
    members = machine.collect(journal=True, journal_max_bytes=1005)
    lines = members["journal/journal.txt"].splitlines()
    assert lines == [b"line %04d" % number for number in range(900, 1000)]
    records = members["journal/journal.export"].split(b"\n\n")
    assert records.pop() == b""
    assert records == [b"__CURSOR=%04d\nMESSAGE=x" % number for number in range(1000 - len(records), 1000)]
    assert len(records) == 40
    assert {note for one in machine.manifest["taken"] for note in one["notes"]} == {
        "longer than 1005 bytes: the oldest part is left out"
    }


def test_one_record_that_is_longer_than_all(machine):
    """Where no record begins in what is kept, it is kept as it is."""
    machine.journalctl("sys.stdout.write('x' * 5000)")
    assert machine.collect(journal=True, journal_max_bytes=1000)["journal/journal.txt"] == b"x" * 1000


def test_an_empty_window_asks_for_no_journal(machine):
    """Where nothing can lie in the window nothing is asked for."""
    machine.journalctl("")
    assert machine.collect(LogWindow(BASE, BASE - timedelta(1)), journal=True) == {}
    assert machine.left_out == {"journal": "the window is empty"}
    assert not (machine.root / "asked").exists()


def test_the_real_journalctl(machine, monkeypatch):
    """The one of this machine takes our arguments, whether it has a journal or not."""
    monkeypatch.undo()
    if shutil.which("journalctl") is None:
        pytest.skip("no journalctl here")
    window = LogWindow(BASE, BASE + timedelta(minutes=5))
    machine.collect(window, journal=True, journal_units=("none-such.service",), journal_priority="err")
    assert not [one for one in machine.manifest["errors"] if "Failed to parse" in one["error"]]
    assert not [one for one in machine.manifest["errors"] if "nrecognized" in one["error"]]


def sh(text: str, **more) -> LogCommand:
    return LogCommand("it", ("/bin/sh", "-c", text), **more)


def test_the_output_of_commands(machine):
    """Both outputs of each are a member of its name; the arguments stay at home, for they may hold anything."""
    members = machine.collect(
        commands=(sh("echo out; echo err >&2; exit 3"), LogCommand("gone", ("/no/such", "secret")))
    )
    assert members == {"commands/it.txt": b"out\nerr\n"}
    assert machine.manifest["taken"] == [
        {"command": "/bin/sh", "exit_code": 3, "bytes": 8, "notes": [], "member": "commands/it.txt"}
    ]
    assert machine.manifest["errors"] == [{"source": "command it", "error": "/bin/sh ended with exit code 3"}]
    assert machine.left_out == {"command gone": "/no/such was not found"}
    assert "secret" not in json.dumps(machine.manifest)


def test_a_command_sees_no_settings_of_ours(machine, monkeypatch):
    """Passwords in our environment are none of its business."""
    monkeypatch.setenv("EVEREST_SYSTEM_MQTT__USERNAME", "hidden")
    assert b"hidden" not in machine.collect(commands=(sh("export -p; cat"),))["commands/it.txt"]


def test_a_command_that_does_not_end(machine):
    """When its time is over what it said is kept, and the manifest says why there is no more."""
    members = machine.collect(commands=(sh("echo begun; exec /bin/sleep 60", timeout_s=2),))
    assert members == {"commands/it.txt": b"begun\n"}
    (taken,) = machine.manifest["taken"]
    assert taken["notes"] == ["/bin/sh did not end within 2 s and was killed"]
    assert machine.manifest["errors"][0]["error"] == "/bin/sh was killed by signal 9"


def test_a_command_that_says_too_much(machine):
    """It is killed, and the begin of what it said is kept."""
    members = machine.collect(commands=(sh("while :; do echo yes; done", max_bytes=1000),))
    assert members == {"commands/it.txt": b"yes\n" * 250}
    (taken,) = machine.manifest["taken"]
    assert taken["notes"] == ["/bin/sh printed more than may be kept and was killed: only the begin is here"]


def test_a_command_that_says_just_enough(machine):
    """As many bytes as may be kept are not too many."""
    assert machine.collect(commands=(sh("echo yes", max_bytes=4),)) == {"commands/it.txt": b"yes\n"}
    assert machine.manifest["errors"] == []


def test_a_command_that_leaves_something_behind(machine):
    """What goes on in the background and holds the output is not waited for."""
    members = machine.collect(commands=(sh("/bin/sleep 3 & echo done", timeout_s=60),))
    assert members == {"commands/it.txt": b"done\n"}
    assert machine.manifest["errors"] == []


def test_a_command_that_closes_its_output_and_goes_on(machine):
    """It is waited for no longer than its time."""
    machine.collect(commands=(sh("exec >&- 2>&-; exec /bin/sleep 60", timeout_s=2),))
    assert machine.manifest["errors"] == [{"source": "command it", "error": "/bin/sh was killed by signal 9"}]


def test_what_the_service_says_of_itself(machine):
    """Its documents are members, as JSON."""
    members = machine.collect(documents={"status": {"running": True}, "history": [{"to": "IDLE"}]})
    assert list(members) == ["everest-system/history.json", "everest-system/status.json"]
    assert json.loads(members["everest-system/status.json"]) == {"running": True}
    assert [one["service"] for one in machine.manifest["taken"]] == ["history", "status"]


def test_what_does_not_fit_is_left_out(machine):
    """An output that breaks the size limit costs no other source its place."""
    text = "/bin/cat /dev/urandom"
    members = machine.collect(
        max_size_bytes=5_000,
        commands=(sh(text, max_bytes=50_000),),
        documents={"status": {}, "big": list(range(100_000))},
    )
    assert list(members) == ["everest-system/status.json"]
    over = "over the size limit, newer files went first"
    assert machine.left_out == {"command it: commands/it.txt": over, "service big": over}


def test_a_full_disk_is_a_failure_with_a_reason(machine, monkeypatch):
    """An output that cannot be kept ends the collection, and the spool is clean."""
    looked = []

    def statvfs(place: object):
        looked.append(place)
        free = 0 if isinstance(place, int) else 1 << 40  # the disk fills while the output is written
        return SimpleNamespace(f_bavail=free, f_frsize=1)

    monkeypatch.setattr(os, "statvfs", statvfs)
    with pytest.raises(CollectError, match="cannot write the log archive: no space left on device"):
        machine.collect(commands=(sh("echo"),))
    assert list(machine.spool.iterdir()) == []
    assert isinstance(looked[-1], int)


def test_canceled_while_a_command_runs(machine):
    """Neither the program nor a file is left."""
    pid_file = machine.root / "pid"

    class CanceledOnceItRuns(threading.Event):
        def is_set(self) -> bool:
            return pid_file.exists() and pid_file.read_text().endswith("\n")

    machine.canceled = CanceledOnceItRuns()
    with pytest.raises(CanceledError):
        machine.collect(commands=(sh(f"echo $$ > {pid_file}; exec /bin/sleep 60"),))
    assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()
    assert list(machine.spool.iterdir()) == []
