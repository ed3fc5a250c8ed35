"""The service's side of a transfer without the service: the engine, and what it is told and tells.

side = TransferSide(tmp_path)
side.get(server.url("/fw.bin"))       # downloads, goes on from the part that the last call left
side.content()                        # what has arrived
side.put(server.url("/in/a"))         # uploads `side.archive`
side.get_fails(server.url("/no"))     # the TransferError
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from everest_system.fsm.artifact import Artifact, Part
from everest_system.io.transfers.download import download
from everest_system.io.transfers.transfer import TransferError, TransferSettings
from everest_system.io.transfers.upload import upload

SCHEMES = frozenset({"http", "https", "ftp", "ftps", "sftp"})
LOGS = bytes(range(256)) * 1200


class TransferSide:
    """Keeps one part and one archive.

    Attributes:
        settings: the keywords of `TransferSettings`.
        canceled: ends what is under way once it is set.
        starts: where each download that brought something went on from.
        record: what an upload remembers its beginning with; None: it does not.
        reported: the bytes that uploads have told to be there.
        on_sent: called with each of these.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = settings
        self.record: Path | None = None
        self.reported: list[int] = []
        self.on_sent: Callable[[int], None] = lambda _: None
        self.archive = folder / "logs.tar.gz"
        self.archive.write_bytes(LOGS)
        self._file = folder / "part"
        self._part = Part()
        self.starts: list[int] = []
        self.canceled = threading.Event()

    def get(self, url: str, at: int = 0, then: Callable[[], None] | None = None) -> Artifact:
        """Make one attempt at downloading; once more than `at` bytes are there, do `then`."""
        waiting = [then] if then else []
        kept = self._part.length
        first = True

        def on_progress(done: int, _total: int | None) -> None:
            nonlocal first
            if first:
                first = False
                self.starts.append(kept if done > kept else 0)
            if done > at and waiting:
                waiting.pop()()

        return download(
            url,
            self._file,
            self._part,
            settings=TransferSettings(**self.settings),
            schemes=SCHEMES,
            max_size_bytes=1 << 30,
            canceled=self.canceled,
            on_part=self._keep,
            on_progress=on_progress,
        )

    def get_fails(self, url: str, at: int = 0, then: Callable[[], None] | None = None) -> TransferError:
        """What an attempt at downloading fails with."""
        with pytest.raises(TransferError) as caught:
            self.get(url, at, then)
        return caught.value

    def put(self, url: str) -> None:
        """Make one attempt at uploading."""

        def on_progress(done: int, _total: int) -> None:
            self.reported.append(done)
            self.on_sent(done)

        self.reported.clear()
        upload(
            self.archive,
            url,
            settings=TransferSettings(**self.settings),
            schemes=SCHEMES,
            record=self.record,
            canceled=self.canceled,
            on_progress=on_progress,
        )

    def put_fails(self, url: str) -> TransferError:
        """What an attempt at uploading fails with."""
        with pytest.raises(TransferError) as caught:
            self.put(url)
        return caught.value

    def content(self) -> bytes:
        """What has arrived."""
        return self._file.read_bytes()

    @property
    def kept(self) -> int:
        """Bytes of the part that the next attempt can go on from."""
        return self._part.length

    def _keep(self, part: Part) -> None:
        self._part = part
