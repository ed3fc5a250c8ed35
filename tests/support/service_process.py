"""The service as what it is on a station: a process of its own, started from a configuration file.

    service = ServiceProcess(tmp_path, broker, {"firmware": {"unsigned": "accept"}})
    service.start()                       # returns once it has said that it is connected
    service.wait_for("stopping")          # a line of its log, which is kept in `log`
    service.stop()                        # SIGTERM; exit 0 within 5 s, or the test has failed

`supervise()` makes it what systemd is to it: when the process ends by itself, it is started again, as it is after a
reboot. Nothing here sleeps: everything is waited for in the log, and a service that ends meanwhile ends the wait too.
"""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from support.brokers import Broker
from support.machine_time import machine_time

from everest_system.io.control.client import ask

DEADLINE_S = 60.0  # for a machine that has other things to do; a service that ends meanwhile ends the wait
STOP_S = 5.0
BLOCK = 65536

Line = dict[str, Any]


class ServiceProcess:
    """The service with a folder of its own.

    Args:
        folder: for its configuration and its state.
        broker: where it looks for EVerest; None: `config` says.
        config: tables and keys over those of `fast()`.

    Attributes:
        log: its log lines, over all starts; a line that is no JSON has only an `event`.
        starts: how often the process was started.
        exits: the exit codes of those that ended.
        covered: whether a run with coverage looks into the process, which takes memory of its own.
        under: a program and its arguments that the next start runs the service under as its child, that one only.
    """

    def __init__(self, folder: Path, broker: Broker | None, config: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.config_file = folder / "everest-system.toml"
        self.settings = fast(folder)
        if broker is not None:
            self.configure({"mqtt": {"host": broker.host, "port": broker.port}})
        self.configure(config or {})
        self.log: list[Line] = []
        self.starts = 0
        self.exits: list[int] = []
        self.covered = True
        self.under: list[str] = []
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_under = False
        self._watcher: threading.Thread | None = None
        self._supervised = False
        self._ending = False

    def configure(self, config: Mapping[str, Any]) -> None:
        """Put `config` over the configuration; it counts from the next start on."""
        _merge(self.settings, config)
        self.config_file.write_text(to_toml(self.settings))

    # --- life ---

    def start(self, wait_for: str = "connected to the broker") -> None:
        """Start it, and wait for a line of its log."""
        since = len(self.log)
        self._ending = False
        self._launch()
        self.wait_for(wait_for, since=since)

    def supervise(self) -> None:
        """From now on start it again whenever it ends by itself."""
        self._supervised = True

    def stop(self) -> None:
        """Stop it as systemd does: exit code 0 within 5 s."""
        self._stop(STOP_S)

    def restart(self) -> None:
        """Stop it, and start it again."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL, DEADLINE_S)

    def close(self) -> None:
        """Stop it if it still runs; for the end of a test, where nobody counts the seconds."""
        if self._process is not None:
            self._stop(DEADLINE_S)

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def resident_kib(self) -> int:
        """The memory that the process holds, VmRSS of the kernel."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))

    # --- what it says ---

    def wait_for(self, wanted: str | Callable[[Line], bool], *, since: int = 0, timeout_s: float = DEADLINE_S) -> Line:
        """The first log line from number `since` on whose event contains, or that passes, `wanted`."""

        def found() -> Line | None:
            for line in self.log[since:]:
                if wanted in line["event"] if isinstance(wanted, str) else wanted(line):
                    return line
            return None

        deadline = time.monotonic() + timeout_s
        with self._changed:
            while (line := found()) is None:
                left = deadline - time.monotonic()
                assert left > 0, f"no log line {wanted!r} in time\n{self.log_text()}"
                assert self.is_running or self._supervised, f"it ended without {wanted!r}\n{self.log_text()}"
                self._changed.wait(min(left, 0.2))
            return line

    def wait_for_state(self, machine: str, state: str, *, since: int = 0) -> Line:
        """The log line of a machine entering a state."""
        return self.wait_for(
            lambda line: _is_step(line, machine) and line["event"].endswith(f"-> {state}"), since=since
        )

    def lines(self, wanted: str, *, since: int = 0) -> list[Line]:
        """All log lines so far whose event contains `wanted`."""
        with self._heard_out():
            return [line for line in self.log[since:] if wanted in line["event"]]

    def warnings(self, *, since: int = 0) -> list[str]:
        """What it has warned of so far."""
        with self._heard_out():
            return [line["event"] for line in self.log[since:] if line.get("level") in {"warning", "error", "critical"}]

    def states(self, machine: str) -> list[str]:
        """The states that a machine entered so far."""
        with self._heard_out():
            return [line["event"].rpartition(" -> ")[2] for line in self.log if _is_step(line, machine)]

    def log_text(self) -> str:
        """Its log, for people."""
        return "\n".join(json.dumps(line) for line in self.log)

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """What it answers over its control socket."""
        return ask(self.state_dir / "control.sock", command, **arguments)

    def wait_for_status(
        self, wanted: Callable[[dict[str, Any]], bool], module_id: str = "system_api", timeout_s: float = DEADLINE_S
    ) -> dict[str, Any]:
        """What it answers about a module once that passes `wanted`; it is stored by then."""
        deadline = time.monotonic() + timeout_s
        while not wanted(told := self.ask("status")["modules"][module_id]):
            assert time.monotonic() < deadline, f"the status stays {told}\n{self.log_text()}"
            time.sleep(0.02)  # there is nothing to wait for: no event tells of each figure
        return told

    # --- inside ---

    def _launch(self) -> None:
        without = ("EVEREST_SYSTEM_",) if self.covered else ("EVEREST_SYSTEM_", "COVERAGE_", "COV_CORE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(without)}
        under, self.under = self.under, []
        self._is_under = bool(under)
        self._process = subprocess.Popen(
            [*under, sys.executable, "-m", "everest_system", "run", "-c", str(self.config_file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            cwd=self.folder,
            process_group=0 if under else None,  # neither may outlive the other
        )
        self.starts += 1
        self._watcher = threading.Thread(target=self._watch, args=(self._process,), daemon=True)
        self._watcher.start()

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stderr is not None
        with process.stderr as pipe:
            rest = b""
            while True:
                select.select([pipe], [], [])
                with self._changed:  # what is no longer in the pipe is in the log
                    block = pipe.read(BLOCK)
                    *lines, rest = (rest + block).split(b"\n") if block else (rest, b"")
                    self.log += [_line(text) for text in lines if text]
                    self._changed.notify_all()
                if not block:
                    break
        code = process.wait()
        with self._changed:
            self.exits.append(code)
            if self._supervised and not self._ending:
                self._launch()
            self._changed.notify_all()

    @contextmanager
    def _heard_out(self) -> Iterator[None]:
        """Hold the log as it is once all that the process has said so far is in it."""
        with self._changed:
            while self._process is not None and _unread(self._process):
                self._changed.wait(0.05)
            yield

    def _stop(self, within_s: float) -> None:
        self._end(signal.SIGTERM, within_s)
        assert self.exits[-1] == 0, f"exit code {self.exits[-1]} after SIGTERM\n{self.log_text()}"

    def _end(self, by: signal.Signals, within_s: float) -> None:
        with self._changed:
            self._ending = True
            process, watcher, self._process = self._process, self._watcher, None
        assert process is not None, "the service was not started"
        for pid in _children(process.pid) if self._is_under else [process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, by)
        begun = machine_time()
        try:
            while process.poll() is None:
                assert machine_time() - begun < within_s, (
                    f"no end within {within_s:g} s of {by.name}\n{self.log_text()}"
                )
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
        finally:
            process.kill()
            if self._is_under:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if watcher is not None:
                watcher.join()


def _line(text: bytes) -> Line:
    try:
        return dict(json.loads(text))
    except ValueError:
        return {"event": text.decode(errors="replace").strip()}


def _unread(process: "subprocess.Popen[bytes]") -> bool:
    """Whether something that it said is still on its way."""
    assert process.stderr is not None
    waiting = array("i", [0])
    with suppress(ValueError):  # it has ended, and all of it was read
        fcntl.ioctl(process.stderr, termios.FIONREAD, waiting)
    return waiting[0] > 0


def fast(folder: Path) -> dict[str, Any]:
    """The configuration of a station that leaves nobody waiting, with logs of its own to send."""
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    (logs / "everest.log").write_text("all is well\n")
    (logs / "security.log").write_text("nobody came\n")
    return {
        "station": {
            "state_dir": str(folder / "state"),
            "reply_settle_s": 0.05,
            "status_interval_s": 0.1,
            "communication_check_interval_s": 0.3,
        },
        "firmware": {
            "unsigned": "accept",
            "default_retry_interval_s": 0,
            "reboot_grace_s": 0,
            "slots": {"activation": "none"},
        },
        "platform": {"reset": {"delay_s": 0.05}},
        "logs": {
            "default_retry_interval_s": 0,
            "sources": {
                "DiagnosticsLog": {"files": [str(logs / "everest.log")], "journal": False},
                "SecurityLog": {"files": [str(logs / "security.log")]},
            },
        },
    }


def to_toml(table: Mapping[str, Any], path: str = "") -> str:
    """Write tables of text, numbers, booleans and lists as TOML; JSON has the same words for these."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    for key, value in table.items():
        if isinstance(value, Mapping):
            name = f"{path}.{key}" if path else key
            lines += [f"[{name}]", to_toml(value, name)]
    return "\n".join(lines) + "\n"


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            _merge(below[key], value)
        else:
            below[key] = value


def _is_step(line: Line, machine: str) -> bool:
    event = line["event"]
    return bool(event.startswith(f"{machine}: ") and " -> " in event)
