"""What each import of a running service adds to its memory and its start.

`measure()` runs the service in a process of its own (this module as a program), in which every module's loading is
timed and weighed by the resident memory before and after; what it loads on its way counts for the loaded ones. Memory
comes in pages and from pools, so the figures of small modules mean little and those of packages much.
"""

import importlib.machinery
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

IDLE_S = 4.0
SHOWN = 24
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_STOP_S = 30.0


def measure(config: Path) -> str:
    """Run the service for 4 s and return a table of what it had loaded by then.

    Raises:
        RuntimeError: the service failed.
    """
    from bench.figures import table
    from bench.service import environment

    result = config.with_name("imports.json")
    with config.with_name("imports.log").open("wb") as log:
        command = (sys.executable, "-m", "bench.imports", str(config), str(result))
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(), timeout=_STOP_S, check=False
        )
    if done.returncode != 0 or not result.exists():
        raise RuntimeError(f"the service ended with exit code {done.returncode}")
    found = json.loads(result.read_text())
    packages: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for name, kib, seconds in found["modules"]:
        sums = packages[_package(name)]
        sums[:] = (sums[0] + 0.5, sums[1] + kib, sums[2] + seconds)  # each is there twice: made, and executed
    ordered = sorted(packages.items(), key=lambda item: -item[1][1])
    rows = [
        [name, f"{count:.0f}", f"{kib / 1024:.1f}", f"{seconds * 1e3:.0f}"]
        for name, (count, kib, seconds) in ordered[:SHOWN]
    ]
    rest = [sum(item[1][column] for item in ordered[SHOWN:]) for column in range(3)]
    rows.append(["the rest", f"{rest[0]:.0f}", f"{rest[1] / 1024:.1f}", f"{rest[2] * 1e3:.0f}"])
    rows.append(["Python before the first of them", "", f"{found['before'] / 1024:.1f}", ""])
    rows.append(["all of it, idle", "", f"{found['idle'] / 1024:.1f}", ""])
    return table(("package", "modules", "MiB", "ms"), rows)


def _package(module: str) -> str:
    first, _, rest = module.partition(".")
    return f"{first}.{rest.partition('.')[0]}" if first == "everest_system" and rest else first


class _Weighed:
    """Stands in for a module's loader, and notes what loading costs."""

    def __init__(self, loader: Any, scales: "_Scales") -> None:
        self._loader, self._scales = loader, scales

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        with self._scales.weigh(spec.name):  # loads the library of one written in C
            made: ModuleType | None = self._loader.create_module(spec)
            return made

    def exec_module(self, module: ModuleType) -> None:
        with self._scales.weigh(module.__name__):
            self._loader.exec_module(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class _Weighing:
    def __init__(self, scales: "_Scales", name: str) -> None:
        self._scales, self._name = scales, name

    def __enter__(self) -> None:
        self._scales.inside.append([0.0, 0.0])
        self._before = _resident_kib(), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        kib, seconds = _resident_kib() - self._before[0], time.perf_counter() - self._before[1]
        within = self._scales.inside.pop()
        self._scales.modules.append((self._name, kib - within[0], seconds - within[1]))
        if self._scales.inside:
            self._scales.inside[-1][0] += kib
            self._scales.inside[-1][1] += seconds


class _Scales:
    """A finder that lets the others find, and weighs what they load; for imports in one thread at a time."""

    def __init__(self, finders: Sequence[Any]) -> None:
        self._finders = finders
        self.inside: list[list[float]] = []
        self.modules: list[tuple[str, float, float]] = []

    def weigh(self, name: str) -> _Weighing:
        return _Weighing(self, name)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        for finder in self._finders:
            spec: importlib.machinery.ModuleSpec | None = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = _Weighed(spec.loader, self)  # type: ignore[assignment]  # a stand-in
                return spec
        return None


def _resident_kib() -> int:
    with open("/proc/self/statm", "rb", buffering=0) as stream:  # noqa: PTH123  # pathlib is one of those weighed
        return int(stream.read().split()[1]) * _PAGE_KIB


def _main() -> int:
    config, result = sys.argv[1:3]
    before = _resident_kib()
    scales = _Scales(list(sys.meta_path))
    sys.meta_path.insert(0, scales)
    from everest_system.cli import main

    idle: list[int] = []

    def note_and_end() -> None:
        idle.append(_resident_kib())
        os.kill(os.getpid(), signal.SIGTERM)

    timer = threading.Timer(IDLE_S, note_and_end)
    timer.daemon = True
    timer.start()
    code: int = main(["run", "-c", config])
    sys.meta_path.remove(scales)
    Path(result).write_text(json.dumps({"before": before, "idle": idle[0] if idle else 0, "modules": scales.modules}))
    return code


if __name__ == "__main__":
    sys.exit(_main())
