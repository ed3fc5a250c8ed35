"""Real programs, run, watched, ended."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.machine_time import machine_time

from everest_system.fsm.errors import CanceledError
from everest_system.io import program
from everest_system.io.program import ProgramError, fill, run

NEVER = threading.Event()
DEADLINE_S = 30.0


def sh(text: str) -> list[str]:
    return ["/bin/sh", "-c", text]


def alive(pid: int) -> bool:
    """A process that is dead but not yet waited for counts as dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def await_death(*pids: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while any(map(alive, pids)):
        assert time.monotonic() < deadline, f"still alive: {[pid for pid in pids if alive(pid)]}"
        threading.Event().wait(0.005)


class CancelOn:
    """Sets `canceled` at the line `cue`, and keeps the lines and the time."""

    def __init__(self, cue: str) -> None:
        self.canceled = threading.Event()
        self.lines: list[str] = []
        self.at = 0.0
        self._cue = cue

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        if line == self._cue:
            self.at = machine_time()
            self.canceled.set()


@pytest.mark.parametrize("code", [0, 1, 10, 255])
def test_exit_code(code: int) -> None:
    """The exit code is handed back as it is."""
    assert run(sh(f"exit {code}"), timeout_s=5, canceled=NEVER) == code


def test_death_by_signal() -> None:
    """A program that a signal killed is told from one that ended by itself."""
    assert run(sh("kill -KILL $$"), timeout_s=5, canceled=NEVER) == -signal.SIGKILL


def test_output_comes_line_by_line() -> None:
    """Both outputs arrive in order, cut at newlines and carriage returns, without empty lines."""
    lines: list[str] = []
    run(
        sh(r"echo one; echo two >&2; echo; printf '10%%\r20%%\r\n'; printf last"),
        timeout_s=5,
        canceled=NEVER,
        on_line=lines.append,
    )
    assert lines == ["one", "two", "10%", "20%", "last"]


def test_output_is_tamed() -> None:
    """Control characters, broken UTF-8 and overlong lines do no harm, and what follows them still counts."""
    lines: list[str] = []
    text = r"""
import sys
sys.stdout.buffer.write(b"\x1b[31mred\x07\n" + b"\xff\xfe\n" + b"x" * 1_000_000 + b"\n" + "gr\u00fcn\n".encode())
"""
    run([sys.executable, "-c", text], timeout_s=5, canceled=NEVER, on_line=lines.append)
    assert lines == ["[31mred", "��", "x" * 4096, "grün"]


def test_flood_of_empty_lines_is_no_work() -> None:
    """Tens of millions of empty lines hold up neither the program nor the threads beside it."""
    lines: list[str] = []
    flood = sh(r"head -c 40000000 /dev/zero | tr '\0' '\n'; echo end")
    assert run(flood, timeout_s=5, canceled=NEVER, on_line=lines.append) == 0
    assert lines == ["end"]


def test_lines_beyond_the_logged_ones_still_count(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that talks without end does not fill the log, but is heard to the end."""
    lines: list[str] = []
    run(
        sh("i=0; while [ $i -lt 300 ]; do echo line-$i; i=$((i+1)); done"),
        timeout_s=5,
        canceled=NEVER,
        on_line=lines.append,
    )
    assert lines == [f"line-{number}" for number in range(300)]
    logged = "".join(capsys.readouterr())
    assert ("line-199" in logged, "line-200" in logged, logged.count("too much")) == (True, False, 1)


def test_environment_is_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program sees the facts and where it lives, and none of our settings."""
    monkeypatch.setenv("EVEREST_SYSTEM_MQTT__PASSWORD_FILE", "/secret")
    monkeypatch.setenv("SOME_TOKEN", "secret")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.delenv("PATH")
    lines: list[str] = []
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    run([sys.executable, "-c", script], facts={"FACT": "a b"}, timeout_s=5, canceled=NEVER, on_line=lines.append)
    seen = json.loads(lines[0])
    assert seen["FACT"] == "a b"
    assert seen["LC_TIME"] == "C"
    assert seen["PATH"] == os.defpath
    assert not {name for name in seen if name.startswith("EVEREST_SYSTEM") or "TOKEN" in name}


def test_standard_input_is_empty() -> None:
    """A program that reads its standard input finds its end at once."""
    assert run(sh("! read answer"), timeout_s=5, canceled=NEVER) == 0


def test_arguments_see_no_shell(tmp_path: Path) -> None:
    """What looks like a shell's business in an argument is only text."""
    lines: list[str] = []
    run(["echo", f"$(touch {tmp_path}/made); `id` | > * ~"], timeout_s=5, canceled=NEVER, on_line=lines.append)
    assert lines == [f"$(touch {tmp_path}/made); `id` | > * ~"]
    assert list(tmp_path.iterdir()) == []


UNSTARTABLE = {
    "missing": (["missing", "secret"], "missing was not found"),
    "not executable": (["plain", "secret"], "plain is not executable"),
    "no interpreter": (["headless", "secret"], "headless is no program"),
    "a loop of links": (["loop", "secret"], "loop cannot be started"),
    "NUL": (["echo", "secret\0"], "echo has an argument with a NUL"),
}


@pytest.mark.parametrize("case", UNSTARTABLE)
@pytest.mark.parametrize("detached", [False, True])
def test_programs_that_cannot_start(case: str, detached: bool, tmp_path: Path) -> None:
    """What cannot be started is named with the reason, and its arguments are not."""
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "headless").write_text("exit 0\n")
    (tmp_path / "headless").chmod(0o755)
    (tmp_path / "loop").symlink_to("loop")
    (name, argument), message = UNSTARTABLE[case]
    with pytest.raises(ProgramError) as caught:
        run([str(tmp_path / name), argument], timeout_s=5, canceled=NEVER, detached=detached)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_programs_that_are_not_in_the_path() -> None:
    """A bare name that `PATH` does not know is reported by that name; no name at all is too."""
    with pytest.raises(ProgramError, match=r"^no-such-program-anywhere was not found"):
        run(["no-such-program-anywhere"], timeout_s=5, canceled=NEVER)
    with pytest.raises(ProgramError, match="no program is configured"):
        run([], timeout_s=5, canceled=NEVER)


def test_time_out_kills_the_whole_group() -> None:
    """When the time is up the program and its children are gone, and the error says so."""
    pids: list[int] = []
    with pytest.raises(ProgramError, match=r"/bin/sh did not end within 2 s and was killed"):
        run(
            sh("sleep 60 & echo $!; echo $$; wait"),
            timeout_s=2,
            canceled=NEVER,
            on_line=lambda line: pids.append(int(line)),
        )
    assert len(pids) == 2
    await_death(*pids)


def test_time_out_of_zero_is_none() -> None:
    """Zero seconds mean as long as it takes."""
    assert run(sh("sleep 0.1; exit 7"), timeout_s=0, canceled=NEVER) == 7


def test_cancel_ends_the_whole_group_at_once() -> None:
    """Within 200 ms of a cancel the call is back and the program's children are dead."""
    cancel = CancelOn("ready")
    with pytest.raises(CanceledError):
        run(sh("sleep 60 & echo $!; echo $$; echo ready; wait"), timeout_s=30, canceled=cancel.canceled, on_line=cancel)
    assert machine_time() - cancel.at < 0.2
    await_death(*map(int, cancel.lines[:2]))


def test_cancel_lets_a_program_clean_up(tmp_path: Path) -> None:
    """A program that takes SIGTERM gets to finish what it then does, with more output than a pipe holds."""
    cancel = CancelOn("ready")
    script = f"""
import os, signal, sys, time
def end(*_):
    os.write(1, b"x" * 300_000)
    open({str(tmp_path / "cleaned")!r}, "w").close()
    sys.exit()
signal.signal(signal.SIGTERM, end)
os.write(1, b"ready\\n")
time.sleep(60)
"""
    with pytest.raises(CanceledError):
        run([sys.executable, "-c", script], timeout_s=30, canceled=cancel.canceled, on_line=cancel)
    assert (tmp_path / "cleaned").exists()
    assert cancel.lines == ["ready"]


@pytest.mark.parametrize("closes_output", [False, True])
def test_cancel_kills_what_ignores_it(closes_output: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ignores SIGTERM is killed when its grace is over."""
    monkeypatch.setattr(program, "_GRACE_S", 0.3)
    cancel = CancelOn("ready")
    closing = "exec >/dev/null 2>&1;" if closes_output else ""
    with pytest.raises(CanceledError):
        run(
            sh(f"trap '' TERM; echo $$; echo ready; {closing} while :; do sleep 0.05; done"),
            timeout_s=30,
            canceled=cancel.canceled,
            on_line=cancel,
        )
    await_death(int(cancel.lines[0]))


def test_cancel_finds_a_program_that_left_its_group() -> None:
    """A program that made itself a session is ended all the same."""
    cancel = CancelOn("ready")
    script = "import os, time; os.setsid(); print(os.getpid()); print('ready', flush=True); time.sleep(60)"
    with pytest.raises(CanceledError):
        run([sys.executable, "-c", script], timeout_s=30, canceled=cancel.canceled, on_line=cancel)
    assert machine_time() - cancel.at < 0.2
    await_death(int(cancel.lines[0]))


def test_canceled_before_it_began(tmp_path: Path) -> None:
    """With the cancel already there the program is not started."""
    canceled = threading.Event()
    canceled.set()
    with pytest.raises(CanceledError, match="touch was not started"):
        run(["touch", str(tmp_path / "made")], timeout_s=5, canceled=canceled)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_listener_ends_the_program() -> None:
    """When the one who listens fails, no program is left behind."""
    pids: list[int] = []

    def listen(line: str) -> None:
        pids.append(int(line))
        raise KeyError(line)

    with pytest.raises(KeyError):
        run(sh("echo $$; while :; do echo 0; sleep 0.01; done"), timeout_s=30, canceled=NEVER, on_line=listen)
    await_death(pids[0])


def test_the_background_is_the_programs_own_affair() -> None:
    """A child left in the background, even one that holds the output or floods it, neither delays the end nor dies."""
    lines: list[str] = []
    begun = machine_time()
    assert run(sh("sleep 60 & echo $!; yes & echo done"), timeout_s=30, canceled=NEVER, on_line=lines.append) == 0
    assert machine_time() - begun < 5
    left = int(lines[0])
    assert alive(left)
    os.kill(left, signal.SIGKILL)


def test_it_ends_after_closing_its_output() -> None:
    """A program may close its output long before it ends."""
    assert run(sh("exec >/dev/null 2>&1; sleep 0.2; exit 4"), timeout_s=5, canceled=NEVER) == 4


RUNNER = """
import sys, threading
from everest_system.io.program import run
detached = sys.argv[1] == "detached"
say = lambda line: print(line, flush=True)
run(sys.argv[2:], timeout_s=60, canceled=threading.Event(), on_line=say, detached=detached)
"""


def test_it_dies_with_us() -> None:
    """When the service is killed outright, the program and its children die too, also those that ignore SIGTERM."""
    script = "trap '' TERM; sleep 60 & echo $!; echo $$; wait"
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER, "attached", *sh(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as service:
        assert service.stdout is not None
        pids: list[int] = []
        while len(pids) < 2:  # the log goes to standard output too
            line = service.stdout.readline()
            assert line
            pids += [int(line)] if line.strip().isdigit() else []
        assert all(map(alive, pids))
        service.kill()
    await_death(*pids)


def await_text(file: Path) -> str:
    deadline = time.monotonic() + DEADLINE_S
    while not (file.exists() and file.read_text().endswith("\n")):
        assert time.monotonic() < deadline, f"{file} never came"
        threading.Event().wait(0.005)
    return file.read_text().strip()


def waiting(folder: Path) -> str:
    """A script that says it has begun, waits for the file `go`, talks to nobody, and says that it went on."""
    return (
        f"echo $$ > {folder}/begun; echo noise; while [ ! -e {folder}/go ]; do sleep 0.01; done;"
        f"echo noise; echo done > {folder}/went_on"
    )


def test_a_detached_one_outlives_us(tmp_path: Path) -> None:
    """A program that takes the service down goes on when it is down."""
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER, "detached", *sh(waiting(tmp_path))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as service:
        await_text(tmp_path / "begun")
        service.kill()
    (tmp_path / "go").touch()
    assert await_text(tmp_path / "went_on") == "done"


def test_a_detached_one_outlives_a_cancel(tmp_path: Path) -> None:
    """A cancel gives up waiting for a detached program, leaves it alone, and leaves no zombie."""
    canceled = threading.Event()

    def cancel() -> None:
        await_text(tmp_path / "begun")
        canceled.set()

    canceler = threading.Thread(target=cancel)
    canceler.start()
    with pytest.raises(CanceledError):
        run(sh(waiting(tmp_path)), timeout_s=30, canceled=canceled, detached=True)
    canceler.join()
    assert not (tmp_path / "went_on").exists()
    (tmp_path / "go").touch()
    assert await_text(tmp_path / "went_on") == "done"
    for thread in threading.enumerate():
        if thread.name.startswith("reap-"):
            thread.join(DEADLINE_S)
    assert not Path(f"/proc/{(tmp_path / 'begun').read_text().strip()}").exists()


def test_a_detached_one_has_its_time_too(tmp_path: Path) -> None:
    """The time-out ends a detached program with its children."""
    with pytest.raises(ProgramError, match="did not end"):
        run(sh(f"sleep 60 & echo $! > {tmp_path}/child; wait"), timeout_s=2, canceled=NEVER, detached=True)
    await_death(int((tmp_path / "child").read_text()))


def test_a_detached_ones_exit_code() -> None:
    """A detached program that ends in time is judged like any other."""
    assert run(sh("echo unheard; exit 6"), timeout_s=5, canceled=NEVER, detached=True) == 6


def open_files() -> list[str]:
    return [str(file) for file in Path("/proc/self/fd").iterdir() if file.exists()]


def test_nothing_is_left_open() -> None:
    """Runs leave neither descriptors nor processes behind."""
    before = open_files()
    for code in range(3):
        run(sh(f"exit {code}"), timeout_s=5, canceled=NEVER)
    with pytest.raises(ProgramError):
        run(["/nowhere/program"], timeout_s=5, canceled=NEVER)
    assert open_files() == before
    assert Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text() == ""


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["install"], ["install", "/fw {id} x"]),
        (["install", "{path}", "-i", "id={id}"], ["install", "/fw {id} x", "-i", "id=7"]),
        (["install", "--file={path}!"], ["install", "--file=/fw {id} x!"]),
        (["install", "{id}{id}"], ["install", "77", "/fw {id} x"]),
        (["{path}", "{other}", "{}", "{ID}"], ["/fw {id} x", "{other}", "{}", "{ID}"]),
    ],
)
def test_placeholders(argv: list[str], expected: list[str]) -> None:
    """Values stand where their names stood, once, and the last one comes last if it stood nowhere."""
    assert fill(argv, {"path": "/fw {id} x", "id": "7"}, last="path") == expected
