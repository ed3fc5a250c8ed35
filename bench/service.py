"""The service under measurement, as its own process with a state folder of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Self

from bench.broker import HOST, end

MODULES = ("download_api", "install_api", "logs_api")
"""One module for each kind of work, so that all kinds run at once in one process."""

PYTHON = sys.executable
RUN = (PYTHON, "-m", "everest_system", "run", "-c")


def write_config(
    folder: Path, port: int, modules: Sequence[str] = MODULES[:1], logs: str = "", trust_anchor: Path | None = None
) -> Path:
    """Write a configuration into `folder` and return its path.

    Args:
        folder: holds the state folder as well.
        port: the broker's.
        modules: the EVerest modules to serve.
        logs: pattern of the files that a log upload collects; "": the default sources.
        trust_anchor: who vouches for the firmware; None: it is not signed.
    """
    config = folder / "everest-system.toml"
    names = ", ".join(f'"{module}"' for module in modules)
    source = f'files = ["{logs}"]\njournal = false' if logs else ""
    signed = 'unsigned = "accept"' if trust_anchor is None else f'trust_anchors = ["{trust_anchor}"]'
    config.write_text(
        f'[mqtt]\nhost = "{HOST}"\nport = {port}\n'
        f'[station]\nmodule_ids = [{names}]\nstate_dir = "{folder / "state"}"\nreply_settle_s = 0.05\n'
        f'[firmware]\n{signed}\n[firmware.slots]\nactivation = "none"\n'
        f"[logs]\nmax_size_mb = 4096\n[logs.sources.DiagnosticsLog]\n{source}\n"
    )
    return config


def environment() -> Mapping[str, str]:
    """This process's, without what would change the service's settings."""
    ours = ("EVEREST_SYSTEM_", "MQTT_SERVER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


class Process:
    """A process of this run; it ends with the context. What it writes goes to `log`.

    Attributes:
        started: monotonic seconds, just before it was started.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command, self.log = command, log
        self._process: subprocess.Popen[bytes] | None = None
        self.started = 0.0

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self.started = monotonic()
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment()
            )
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def resident_kib(self) -> tuple[int, int]:
        """What it holds of the memory now: all of it (VmRSS), and its share of what processes share (PSS)."""
        return _field(self._proc / "status", "VmRSS:"), _field(self._proc / "smaps_rollup", "Pss:")

    def peak_kib(self) -> int:
        """The most that it has held so far (VmHWM)."""
        return _field(self._proc / "status", "VmHWM:")

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(list((self._proc / "fd").iterdir()))

    def threads(self) -> int:
        """How many threads it has."""
        return _field(self._proc / "status", "Threads:")

    @property
    def _proc(self) -> Path:
        assert self._process is not None
        return Path("/proc") / str(self._process.pid)


def service(config: Path) -> Process:
    """The service with this configuration; its log is beside it."""
    return Process([*RUN, str(config)], config.with_name("service.log"))


def _field(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise LookupError(f"{name} is not in {file}")
