"""A tar in one gzip stream, written in order, from which the last member can be taken back out.

    with TarGz(path, limit) as archive:
        archive.add(member("a.log", 0), (5, [b"hello"]))
        archive.finish()

The same members give the same bytes: no name and no time in the gzip header, no owner in the tar's.
"""

import tarfile
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Literal, Self

from everest_system.io.logs.gzip_stream import Block, GzipStream, Mark


class TarGz:
    """The archive on its way to disk.

    Args:
        path: the file, made anew and for its owner only.
        limit: bytes of it at most, members added without limit not counted.

    Raises:
        OSError: everywhere, when the disk is full or fails.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._limit = limit
        self._stream = GzipStream(path)

    def __enter__(self) -> Self:
        self._stream.__enter__()
        self._end = Mark(self._stream.length, 0, 0)  # of the members taken
        return self

    def __exit__(self, *failed: object) -> None:
        self._stream.__exit__(*failed)

    def add(self, info: tarfile.TarInfo, content: tuple[int, Iterable[Block]], *, limited: bool = True) -> bool:
        """Add a member.

        Args:
            info: its header, the size left open.
            content: its size, and exactly as many bytes in blocks.
            limited: whether the limit holds for it.

        Returns:
            False if it would break the limit; then the archive is as it was before, and `content` partly read.
        """
        info.size, blocks = content
        header = info.tobuf(_format(info.name), "utf-8", "surrogateescape")
        for data in chain([header], blocks, [bytes(-info.size % tarfile.BLOCKSIZE)]):
            self._stream.write(data)
            if limited and self._stream.length > self._limit:
                break
        end = self._stream.mark()
        if limited and end.length > self._limit:
            self._stream.back_to(self._end)
            return False
        self._end = end
        return True

    def finish(self) -> int:
        """End the archive and sync it; the file's length."""
        end = 2 * tarfile.BLOCKSIZE
        self._stream.write(bytes(end + -(self._stream.size + end) % tarfile.RECORDSIZE))
        return self._stream.finish()


def member(name: str, modified_s: int) -> tarfile.TarInfo:
    """The header of a member: a name (bytes that are not UTF-8 as `os.fsdecode` gives them) and seconds since 1970."""
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = 0o644, modified_s
    return info


def _format(name: str) -> Literal[1, 2]:
    """Names go into pax headers, as all tools read them; these take UTF-8 alone, and GNU's any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return tarfile.GNU_FORMAT
    return tarfile.PAX_FORMAT
