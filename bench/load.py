"""Work that keeps one service busy: a download, an installation and a log upload, each again and again.

Each kind has its own EVerest module in the same service process, and so its own machines and worker. What is going on
is taken from the statuses as EVerest hears them.
"""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Final, Self

from bench.broker import HOST
from bench.service import MODULES
from everest_system.everest_side import EverestSide
from everest_system.everest_side.errors import EverestSideError
from everest_system.io.mqtt.link import MqttSettings

IMAGE_MIB: Final = 1024
LOGS_MIB: Final = 1024
KINDS: Final = ("download", "install", "collect", "upload")

_PATIENCE_S: Final = 60.0
_BLOCK: Final = 1 << 20


def write_files(served: Path, logs: Path) -> None:
    """Write the image that is served, and a log that no compressor makes smaller."""
    for file, size_mib in ((served / "firmware.img", IMAGE_MIB), (logs / "station.log", LOGS_MIB)):
        block = os.urandom(_BLOCK)
        with file.open("wb") as stream:
            for _ in range(size_mib):
                stream.write(block)


class Load:
    """Drives the three modules while the context lasts; `begin()` starts the work.

    Args:
        port: the broker's.
        url: the file server's, with a slash at its end.

    Attributes:
        done: how often each kind was brought to its end, and the seconds that took in all.
        failure: why the work has stopped; "" while all goes as it should.
    """

    def __init__(self, port: int, url: str) -> None:
        self.done = dict.fromkeys(KINDS, (0, 0.0))
        self.failure = ""
        self._url = url
        self._ending = threading.Event()
        self._doing: dict[str, frozenset[str]] = {}
        settings = MqttSettings(host=HOST, port=port)
        self._sides = {
            module: EverestSide(settings, module, ocpp=None, permission_delay_s=None, check_period_s=60)
            for module in MODULES
        }
        steps = {"download": self._download, "install": self._install, "upload": self._upload}
        self._threads = {
            name: threading.Thread(target=self._repeat, args=(step,), name=name, daemon=True)
            for name, step in steps.items()
        }

    def __enter__(self) -> Self:
        for side in self._sides.values():
            side.start()
            side.wait_for_service()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for side in self._sides.values():
            side.stop()
        for thread in self._threads.values():
            if thread.is_alive():
                thread.join(_PATIENCE_S)

    def begin(self, names: Sequence[str] = ("download", "install", "upload")) -> None:
        """Start these kinds of work."""
        for name in names:
            self._threads[name].start()

    def busy_with(self) -> frozenset[str]:
        """The kinds of work that go on just now.

        Raises:
            RuntimeError: one of them has failed.
        """
        if self.failure:
            raise RuntimeError(self.failure)
        return frozenset().union(*self._doing.copy().values())

    def _repeat(self, step: Callable[[int], None]) -> None:
        request_id = 1
        try:
            while not self._ending.is_set():
                step(request_id)
                request_id += 1
        except EverestSideError as error:
            if not self._ending.is_set():
                self.failure = f"the load has stopped in{step.__name__.replace('_', ' ')}: {error}"

    def _download(self, request_id: int) -> None:
        """To `Downloaded`; as nobody permits the installation, the next request takes its place."""
        module = MODULES[0]
        self._update(module, request_id)
        self._await(module, request_id, "download", "Downloaded")

    def _install(self, request_id: int) -> None:
        """A download as well, and the installation behind it."""
        module = MODULES[1]
        self._update(module, request_id)
        self._await(module, request_id, "download", "Downloaded")
        self._sides[module].allow_installation()
        self._sides[module].wait_for("Installing", request_id, _PATIENCE_S)
        self._await(module, request_id, "install", "Installed")

    def _upload(self, request_id: int) -> None:
        """The archive is made first."""
        module = MODULES[2]
        request = {"location": self._url, "request_id": request_id, "type": "DiagnosticsLog"}
        self._sides[module].call("upload_logs", request, _PATIENCE_S)
        self._await(module, request_id, "collect", "Uploading")
        self._await(module, request_id, "upload", "Uploaded")

    def _update(self, module: str, request_id: int) -> None:
        request = {"location": f"{self._url}firmware.img", "request_id": request_id}
        self._sides[module].call("update_firmware", request, _PATIENCE_S)
        self._sides[module].wait_for("Downloading", request_id, _PATIENCE_S)

    def _await(self, module: str, request_id: int, kind: str, end: str) -> None:
        """Count what is going on as `kind` until the status `end`."""
        self._doing[module], begun = frozenset({kind}), monotonic()
        try:
            self._sides[module].wait_for(end, request_id, _PATIENCE_S)
        finally:
            self._doing[module] = frozenset()
        times, seconds = self.done[kind]
        self.done[kind] = (times + 1, seconds + monotonic() - begun)
