"""An archive of firmware, member by member: a tar, packed or not, of which only what is safe in a slot comes out.

Read with `tarfile`, forward only. Its own filter of PEP 706 is not what holds here: Debian 12's Python has none, it has
been got around more than once, and it mends (`/etc/x` becomes `etc/x`) where firmware has to be refused. What it
refuses is refused here, and more:

- Members are folders, files, symbolic links and hard links; no devices, no FIFOs, no sparse files, nothing unknown,
  nothing setuid or setgid.
- A path is relative, without `..`, of printable UTF-8, at most 1024 bytes, 255 bytes a name, 32 names. It comes once,
  and all above it are folders: nothing is ever written through a link. The slot's own names are not taken.
- A symbolic link is relative and stays inside: `..` only at its beginning, and no further up than the slot. Since that
  holds for each link, it holds for a way through many.
- A hard link is one to a file that came before it.
- At most 65,536 members, `max_bytes` in all, and no more than 500 times the size of what they were unpacked from. The
  headers of a member are at most 256 KiB, in one read as in all, so that none fills the memory.
- The archive ends as a tar ends, and nothing but zeros is behind that.

All else is an `UnfitError` that names the member.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import PurePosixPath
from typing import Final, NoReturn

from everest_system.io.installers.firmware_file import CHUNK, FirmwareFile, Readable
from everest_system.io.installers.port import UnfitError

MAX_MEMBERS: Final = 65_536
MAX_PATH_BYTES: Final = 1024
MAX_NAME_BYTES: Final = 255
MAX_DEPTH: Final = 32
MAX_RATIO: Final = 500
RATIO_FROM_BYTES: Final = 64 << 20  # below, a tree of small or empty files is not a bomb
MAX_HEADER_BYTES: Final = 256 << 10
MAX_GLOBAL_HEADERS: Final = 16

_MAGIC: Final = slice(257, 262)
_SETID: Final = 0o6000


class Kind(Enum):
    """What a member is."""

    FOLDER = auto()
    FILE = auto()
    SYMBOLIC_LINK = auto()
    HARD_LINK = auto()


_KINDS: Final = {
    tarfile.DIRTYPE: Kind.FOLDER,
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.SYMTYPE: Kind.SYMBOLIC_LINK,
    tarfile.LNKTYPE: Kind.HARD_LINK,
}


@dataclass(frozen=True, slots=True)
class Member:
    """One member, safe to be made in a slot.

    Attributes:
        path: below the slot, in its shortest form.
        kind: what it is.
        size: of a file, in bytes.
        mode: of a folder or file; nobody but the owner may write.
        modified: when it was changed, in seconds since 1970.
        target: of a link: a symbolic link's text, or the path of the file that a hard link is one to.
    """

    path: str
    kind: Kind
    size: int
    mode: int
    modified: int
    target: str


class Archive:
    """Reads the archive in a firmware file; iterate over it once.

    Args:
        file: the firmware file, nothing read of it yet.
        max_bytes: the most that it may unpack to.
        reserved: names at the top that belong to the slot.

    Raises:
        UnfitError: it breaks a rule; from each call.
        InstallError: nothing here can unpack it.
    """

    def __init__(self, file: FirmwareFile, max_bytes: int, reserved: frozenset[str] = frozenset()) -> None:
        self._tape = _Tape(file, max_bytes)
        self._reserved = reserved
        self._seen: dict[str, Kind | None] = {}  # None: a folder that only the paths below it have named
        self._left = 0

    def __iter__(self) -> Iterator[Member]:
        try:
            tar = tarfile.TarFile(fileobj=self._tape, encoding="utf-8")  # type: ignore[arg-type]  # all that it uses is there
            while (found := self._next(tar)) is not None:
                member = self._checked(found)
                if member is None:
                    continue
                self._left = member.size
                yield member
                for _ in self.content():
                    pass
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            raise UnfitError(f"the archive is broken: {error}") from error
        self._tape.require_end()

    def content(self) -> Iterator[bytes]:
        """What the present member holds, or the rest of it."""
        while self._left:
            data = self._tape.take(min(CHUNK, self._left))
            if not data:
                raise UnfitError("the archive is cut off")
            self._left -= len(data)
            yield data

    def _next(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        self._tape.patience = MAX_HEADER_BYTES
        found = tar.next()
        tar.members = []  # type: ignore[attr-defined]  # it would remember all of them
        if len(tar.pax_headers) > MAX_GLOBAL_HEADERS:
            raise UnfitError("the archive has too many global headers")
        return found

    def _checked(self, found: tarfile.TarInfo) -> Member | None:
        """The member if it is safe; None for the slot itself, which some archives begin with."""
        path = _path(found.name, found)
        if not path:
            if not found.isdir() or path in self._seen:
                _refuse(found, "is no folder, or comes twice")
            self._seen[path] = Kind.FOLDER
            return None
        kind = _kind(found)
        if found.mode & _SETID:
            _refuse(found, "is setuid or setgid")
        if found.size < 0 or (found.size and kind is not Kind.FILE):
            _refuse(found, f"says that it has {found.size} bytes")
        self._tape.require_within(found.size)
        self._place(path, kind, found)
        return Member(
            path=path,
            kind=kind,
            size=found.size,
            mode=found.mode & 0o755 | (0o700 if kind is Kind.FOLDER else 0o600),
            modified=min(max(int(found.mtime), 0), 1 << 32),
            target=self._target(path, kind, found),
        )

    def _place(self, path: str, kind: Kind, found: tarfile.TarInfo) -> None:
        above = [str(folder) for folder in PurePosixPath(path).parents][-2::-1]
        if (above or [path])[0] in self._reserved:
            _refuse(found, "has a name that belongs to the slot")
        for folder in above:
            if self._seen.setdefault(folder, None) not in (None, Kind.FOLDER):
                _refuse(found, f"is below {folder!r}, which is no folder")
        if path in self._seen and not (self._seen[path] is None and kind is Kind.FOLDER):
            _refuse(found, "comes twice")
        self._seen[path] = kind
        if len(self._seen) > MAX_MEMBERS:
            raise UnfitError(f"the archive has more than {MAX_MEMBERS} members")

    def _target(self, path: str, kind: Kind, found: tarfile.TarInfo) -> str:
        if kind is Kind.HARD_LINK:
            target = _path(found.linkname, found)
            if target == path or self._seen.get(target) not in (Kind.FILE, Kind.HARD_LINK):
                _refuse(found, "is a hard link to what is no file before it")
            return target
        if kind is not Kind.SYMBOLIC_LINK:
            return ""
        text = found.linkname
        _require_printable(text, found)
        target_parts, up = PurePosixPath(text).parts, 0
        while target_parts[up : up + 1] == ("..",):
            up += 1
        outside = text.startswith("/") or up > path.count("/") or ".." in target_parts[up:]
        if not text or outside or len(text.encode()) > MAX_PATH_BYTES:
            _refuse(found, f"is a link out of the slot, to {shown(text)}")
        return text


class _Tape:
    """The unpacked bytes as `tarfile` reads them: forward only, and with bounds."""

    def __init__(self, file: FirmwareFile, max_bytes: int) -> None:
        self._file, self._max_bytes = file, max_bytes
        self._stream: Readable = file.content()
        self._position, self._last = 0, b""
        self.patience = MAX_HEADER_BYTES

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position < self._position:
            raise UnfitError("the archive is broken: it leads backwards")
        self.read(position - self._position)

    def read(self, size: int) -> bytes:
        """Read for `tarfile`, which has headers to read and no more."""
        self.patience -= size
        if size < 0 or self.patience < 0:
            raise UnfitError(f"the archive has a member with more than {MAX_HEADER_BYTES} bytes of headers")
        self._last = b""
        while len(self._last) < size and (data := self.take(size - len(self._last))):
            self._last += data
        return self._last

    def take(self, size: int) -> bytes:
        """Return up to `size` bytes, none only at the end."""
        data = self._stream.read(size)
        self._position += len(data)
        self.require_within(0)
        if self._position > max(RATIO_FROM_BYTES, MAX_RATIO * self._file.position):
            raise UnfitError(f"the archive unpacks to more than {MAX_RATIO} times its size")
        return data

    def require_within(self, size: int) -> None:
        """Hold the archive to its size, with so many bytes yet to come."""
        if self._position + size > self._max_bytes:
            raise UnfitError(f"the archive unpacks to more than {self._max_bytes} bytes")

    def require_end(self) -> None:
        """Hold what `tarfile` took for the end to it: it takes a broken header for one."""
        if len(self._last) < tarfile.BLOCKSIZE:
            raise UnfitError("the archive is cut off: it has no end mark")
        data = self._last
        while data:
            if data.strip(b"\0"):
                raise UnfitError("the archive is broken: where it should end, something else is")
            data = self.take(CHUNK)


def is_archive(file: FirmwareFile) -> bool:
    """Say whether a firmware file, nothing read of it yet, holds a tar.

    Raises:
        UnfitError: it is packed, and what is packed in it cannot be read.
        InstallError: nothing here can unpack it.
    """
    stream, head = file.content(), b""
    while len(head) < tarfile.BLOCKSIZE and (data := stream.read(tarfile.BLOCKSIZE - len(head))):
        head += data
    return head[_MAGIC] == b"ustar"


def _kind(found: tarfile.TarInfo) -> Kind:
    if found.issparse():
        _refuse(found, "is a sparse file")
    if found.isdev():
        _refuse(found, "is a device or a FIFO")
    if found.type not in _KINDS:
        _refuse(found, f"is of the unknown kind {found.type!r}")
    return _KINDS[found.type]


def _path(name: str, found: tarfile.TarInfo) -> str:
    """The shortest form of a path, "" for the slot itself."""
    _require_printable(name, found)
    parts = PurePosixPath(name).parts
    if name.startswith("/"):
        _refuse(found, "has an absolute path")
    if ".." in parts:
        _refuse(found, 'has a ".." in its path')
    if len(parts) > MAX_DEPTH or len(name.encode()) > MAX_PATH_BYTES:
        _refuse(found, "has too long a path")
    if any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        _refuse(found, "has too long a name")
    return "/".join(parts)


def _require_printable(text: str, found: tarfile.TarInfo) -> None:
    if not text.isprintable():  # no byte that is not UTF-8 is
        _refuse(found, "has a name that is not printable UTF-8")


def _refuse(found: tarfile.TarInfo, what: str) -> NoReturn:
    raise UnfitError(f"the archive's member {shown(found.name)} {what}")


def shown(name: str) -> str:
    """A name of any length from outside, in quotes, fit for a line of a log."""
    return ascii(name if len(name) <= 200 else f"{name[:200]}…")
