"""Archives of firmware, good and bad, byte by byte as a test wants them."""

import gzip
import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Callable, Iterable
from typing import Any, Final

import zstandard

Entry = tuple[tarfile.TarInfo, bytes]

PACKINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "plain": bytes,
    "gz": lambda data: gzip.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zst": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
}


def entry(name: str, content: bytes = b"", **facts: Any) -> Entry:
    """A member: a file, or what `type` says."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), 0o644, 1_700_000_000
    for key, value in facts.items():
        setattr(info, key, value)
    return info, content


def folder(name: str, mode: int = 0o755) -> Entry:
    return entry(name, type=tarfile.DIRTYPE, mode=mode)


def link(name: str, target: str) -> Entry:
    return entry(name, type=tarfile.SYMTYPE, linkname=target)


def hard_link(name: str, target: str) -> Entry:
    return entry(name, type=tarfile.LNKTYPE, linkname=target)


def tar(entries: Iterable[Entry], form: int = tarfile.PAX_FORMAT, **options: Any) -> bytes:
    """The members as an archive, whatever they are."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form, encoding="utf-8", **options) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def manifest(files: dict[str, bytes], **more: Any) -> Entry:
    """The manifest of these files."""
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    return entry("manifest.json", json.dumps({"format": 1, "files": digests, **more}).encode())


def firmware(files: dict[str, bytes], packing: str = "plain", **more: Any) -> bytes:
    """A good archive of these files, with its manifest."""
    return PACKINGS[packing](tar([manifest(files, **more), *(entry(path, data) for path, data in files.items())]))
