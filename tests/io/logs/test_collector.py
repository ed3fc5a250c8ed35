"""The collector stands apart: it ends when it must, costs nobody else anything, and its death is a plain failure."""

import ctypes
import json
import os
import platform
import random
import select
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.endless_log import write_endless_log
from support.machine_time import machine_time
from support.small_disk import small_disk

from everest_system.fsm.errors import CanceledError
from everest_system.io.logs import collecting, collector, priority
from everest_system.io.logs.collect_request import CollectError, CollectRequest
from everest_system.io.logs.collector import collect_apart
from everest_system.io.logs.sources import LogCommand, LogSource
from everest_system.io.logs.window import LogWindow

NAME = "s_DiagnosticsLog_begin_20261122T093000Z.tar.gz"


@pytest.fixture
def request_for(tmp_path: Path) -> Callable[..., CollectRequest]:
    """Makes requests for the logs in a folder."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_bytes(b"one\n")

    def make(**more: object) -> CollectRequest:
        source = LogSource((f"{tmp_path}/logs/*",))
        return CollectRequest(source, LogWindow(), tmp_path / "spool", NAME, facts={"station": "s"}, **more)

    return make


@pytest.fixture
def endless(tmp_path: Path, request_for: Callable[..., CollectRequest]) -> CollectRequest:
    """A request whose archive takes an hour."""
    write_endless_log(tmp_path / "logs" / "huge.log")
    return request_for(max_size_bytes=1 << 40)


class Run:
    """A collection in a thread, and the process that does it."""

    def __init__(self, request: CollectRequest) -> None:
        self.request, self.error = request, ""
        self.canceled, self.begun = threading.Event(), threading.Event()
        self._before = children()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        assert self.begun.wait(20)
        (self.pid,) = children() - self._before

    def _run(self) -> None:
        def on_progress(_done: int, _total: int) -> None:
            self.begun.set()

        try:
            collect_apart(self.request, canceled=self.canceled, on_progress=on_progress)
        except (CollectError, CanceledError) as error:
            self.error = f"{type(error).__name__}: {error}"

    def end(self) -> str:
        self.thread.join(10)
        assert not self.thread.is_alive()
        assert not Path(f"/proc/{self.pid}").exists()
        assert list(self.request.spool.iterdir()) == []
        return self.error


def children() -> set[int]:
    return {
        int(child) for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()
    }


def test_an_archive_from_another_process(request_for):
    """What is asked for comes back as if it had been made here, with its facts."""
    request = request_for()
    collected = collect_apart(request, canceled=threading.Event(), on_progress=lambda *_: None)
    assert collected.path == request.spool / NAME
    assert (collected.length, collected.files_taken) == (collected.path.stat().st_size, 1)
    with tarfile.open(collected.path) as archive:
        assert archive.getnames()[-1] == "manifest.json"
        assert json.load(archive.extractfile("manifest.json"))["station"] == "s"


def test_a_request_survives_the_way(request_for, tmp_path):
    """Patterns and folders that are not UTF-8 arrive as they were sent."""
    request = request_for()
    odd = CollectRequest(LogSource((os.fsdecode(b"/caf\xe9/*"),)), request.window, tmp_path, NAME)
    assert CollectRequest.from_json(odd.to_json()) == odd
    assert b"\n" not in odd.to_json()


def test_it_yields_to_all_others(endless):
    """It runs at nice 19, its disk accesses wait for everybody's, and it is the first to go when memory runs out."""
    run = Run(endless)
    try:
        fields = Path(f"/proc/{run.pid}/stat").read_text().rpartition(")")[2].split()
        assert int(fields[16]) == 19
        assert Path(f"/proc/{run.pid}/oom_score_adj").read_text() == "1000\n"
        if platform.machine() == "x86_64":
            assert ctypes.CDLL(None).syscall(252, 1, run.pid, 0) >> 13 == 3  # ioprio_get: the idle class
    finally:
        run.canceled.set()
        run.end()


def test_the_programs_that_it_runs_yield_too(tmp_path):
    """A command of the integrator has the collector's priority, and ends on a signal as programs do."""
    commands = (
        LogCommand("stat", ("cat", "/proc/self/stat")),
        LogCommand("status", ("cat", "/proc/self/status")),
        LogCommand("disk", ("ionice",)),
    )
    request = CollectRequest(LogSource((), commands=commands), LogWindow(), tmp_path / "spool", NAME)
    collected = collect_apart(request, canceled=threading.Event(), on_progress=lambda *_: None)
    with tarfile.open(collected.path) as archive:
        said = {info.name: archive.extractfile(info).read().decode() for info in archive}
    assert said["commands/stat.txt"].rpartition(")")[2].split()[16] == "19"
    status = dict(line.split(":\t", 1) for line in said["commands/status.txt"].splitlines())
    assert not int(status["SigIgn"], 16) & sum(1 << (number - 1) for number in (signal.SIGTERM, signal.SIGINT))
    assert said.get("commands/disk.txt", "idle") in {"idle", "idle\n"}  # where there is an ionice


def test_nothing_from_outside_is_in_its_arguments(endless, monkeypatch):
    """Paths and settings come over a pipe: no other user reads them off the list of processes."""
    monkeypatch.setenv("EVEREST_SYSTEM_MQTT__USERNAME", "somebody")
    run = Run(endless)
    try:
        arguments = Path(f"/proc/{run.pid}/cmdline").read_bytes().split(b"\0")
        assert arguments[1:] == [b"-P", b"-m", b"everest_system.io.logs.collecting", b""]
        assert b"EVEREST_SYSTEM" not in Path(f"/proc/{run.pid}/environ").read_bytes()
    finally:
        run.canceled.set()
        run.end()


@pytest.fixture
def killed(monkeypatch):
    """When a process group was killed; one of the lowest priority takes as long to die as others want the processor."""
    moments, kill = [], os.killpg

    def note(group: int, number: int) -> None:
        moments.append(machine_time())
        kill(group, number)

    monkeypatch.setattr(os, "killpg", note)
    return moments


def test_canceled_it_is_killed_within_200_ms(endless, killed):
    """A cancel leaves neither a process nor a file."""
    run = Run(endless)
    begin = machine_time()
    run.canceled.set()
    assert run.end() == "CanceledError: log collection canceled"
    assert killed[0] - begin < 0.2


def test_canceled_before_it_began(request_for):
    """No process is started for what nobody wants."""
    canceled = threading.Event()
    canceled.set()
    before = children()
    with pytest.raises(CanceledError):
        collect_apart(request_for(), canceled=canceled, on_progress=lambda *_: None)
    assert children() == before


def test_killed_it_is_a_failure_with_a_reason(endless):
    """Somebody, or the kernel when memory runs out, kills it: one line says so, and the spool is clean."""
    run = Run(endless)
    os.kill(run.pid, signal.SIGKILL)
    assert run.end() == "CollectError: the log collector was killed by SIGKILL"


def test_one_that_stands_still_is_killed_as_fast(endless, killed):
    """A collector that hangs, here stopped in its tracks, ends with a cancel like any other."""
    run = Run(endless)
    os.kill(run.pid, signal.SIGSTOP)
    begin = machine_time()
    run.canceled.set()
    assert run.end() == "CanceledError: log collection canceled"
    assert killed[0] - begin < 0.2


def test_a_term_for_the_whole_group_is_not_its_own(endless):
    """When the service's group is told to end, it is the service that says what becomes of the collection."""
    run = Run(endless)
    run.begun.clear()
    os.kill(run.pid, signal.SIGTERM)
    assert run.begun.wait(10)
    run.canceled.set()
    assert run.end().startswith("CanceledError")


def test_it_is_given_up_when_its_time_is_over(request_for, monkeypatch):
    """A source without end does not keep the request from its end."""
    monkeypatch.setattr(collector, "_ARGV", ("/bin/sh", "-c", """echo '{"progress": [1, 2]}'; exec sleep 60"""))
    said = []
    with pytest.raises(CollectError) as caught:
        collect_apart(
            request_for(), canceled=threading.Event(), on_progress=lambda *told: said.append(told), timeout_s=2
        )
    assert str(caught.value) == "the log collector took too long and was killed"
    assert said == [(1, 2)]


def test_it_dies_with_the_service(endless, tmp_path):
    """SIGKILL for the service ends the collector too."""
    (tmp_path / "request").write_bytes(endless.to_json())
    code = (
        "import os, sys, threading\n"
        "from pathlib import Path\n"
        "from everest_system.io.logs.collect_request import CollectRequest\n"
        "from everest_system.io.logs.collector import collect_apart\n"
        "request = CollectRequest.from_json(Path(sys.argv[1]).read_bytes())\n"
        "collect_apart(request, canceled=threading.Event(), on_progress=lambda *_: print('on', flush=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / "request"], stdout=subprocess.PIPE) as service:
        assert service.stdout.readline() == b"on\n"
        (pid,) = map(int, Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split())
        held = os.pidfd_open(pid)
        service.kill()
        assert select.select([held], [], [], 5)[0]
        os.close(held)


def test_a_failure_there_is_the_same_failure_here(request_for, tmp_path):
    """What the archive says of the disk is said by the collector too."""
    (tmp_path / "spool").write_text("mine")
    with pytest.raises(CollectError, match="cannot write the log archive: file exists"):
        collect_apart(request_for(), canceled=threading.Event(), on_progress=lambda *_: None)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("/nowhere/python",), "the log collector cannot be started: no such file or directory"),
        (("/bin/sh", "-c", "exit 7"), "the log collector ended with exit code 7"),
        (("/bin/sh", "-c", "exec >&-; exec sleep 60"), "the log collector fell silent"),
    ],
)
def test_a_collector_that_is_none(request_for, monkeypatch, argv, said):
    """Whatever stands in its place, the request ends with one line."""
    monkeypatch.setattr(collector, "_ARGV", argv)
    monkeypatch.setattr(collector, "_PATIENCE_S", 0.2)
    facts = {"much": "x" * 1_000_000}  # more than a pipe takes
    request = request_for()
    request = CollectRequest(request.source, request.window, request.spool, NAME, facts=facts)
    with pytest.raises(CollectError) as caught:
        collect_apart(request, canceled=threading.Event(), on_progress=lambda *_: None)
    assert str(caught.value) == said


def test_a_bug_in_the_collector_ends_the_request():
    """What should not happen is told in one line, too."""
    assert collecting.answer(b"nonsense", print) == {
        "failed": "internal error of the log collector: JSONDecodeError",
    }


def test_progress_is_told_now_and_then(request_for, tmp_path):
    """Not every block is a message, the first is."""
    (tmp_path / "logs" / "b.log").write_bytes(b"x" * 5_000_000)
    said = []
    last = collecting.answer(request_for().to_json(), said.append)
    assert last["collected"]["files_taken"] == 2
    assert 1 <= len(said) < 15
    assert said[0]["progress"][1] == 5_000_004


def test_a_kernel_without_priorities_is_no_obstacle(monkeypatch):
    """Where nothing can be lowered the work goes on as it is."""

    def refused(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "nice", refused)
    monkeypatch.setattr(Path, "write_text", refused)
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    priority.yield_to_others()


def test_the_process_itself(request_for):
    """One line in, lines of JSON out, the last of them the result; then it ends by itself."""
    with subprocess.Popen(
        [sys.executable, "-m", "everest_system.io.logs.collecting"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    ) as process:
        process.stdin.write(request_for().to_json() + b"\n")
        process.stdin.flush()
        last = json.loads(process.stdout.read().splitlines()[-1])
        assert process.wait(10) == 0  # before its standard input ends
    assert last["collected"]["files_taken"] == 1


def test_no_more_is_said_of_a_failure_than_its_reason(request_for, tmp_path):
    """A failure of the world is the last word of the process."""
    (tmp_path / "spool").write_text("mine")
    said = []
    assert collecting.answer(request_for().to_json(), said.append) == {
        "failed": "cannot write the log archive: file exists"
    }


def test_a_disk_that_fills_up(tmp_path):
    """On a real disk without room for the archive the reason is one line, and nothing is left of it."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.bin").write_bytes(random.Random(5).randbytes(20_000_000))
    with small_disk(tmp_path / "disk", mebibytes=16) as disk:
        request = CollectRequest(LogSource((f"{logs}/*",)), LogWindow(), disk.folder / "spool", NAME)
        with pytest.raises(CollectError) as caught:
            collect_apart(request, canceled=threading.Event(), on_progress=lambda *_: None)
        assert list(request.spool.iterdir()) == []
    assert str(caught.value) == "cannot write the log archive: no space left on device"
