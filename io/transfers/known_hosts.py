"""The keys of SFTP servers: known from a file, or taken on trust the first time and kept there.

The file is OpenSSH's `known_hosts`: names with patterns and ports, hashed names, `@revoked`; certificate authorities
count for nothing. A server that is in it must show one of its keys there. One that is not is refused, or kept on first
use: its line is on the disk before the server is told a password. Several processes and threads may use one file.
"""

import base64
import binascii
import fcntl
import fnmatch
import hashlib
import hmac
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from everest_system.fsm.errors import WorldError
from everest_system.io.durable import sync_folder

_MAX_BYTES: Final = 1024 * 1024
_SSH_PORT: Final = 22


class HostKeyError(WorldError):
    """A server is not trusted; the message says why, and what to do about it."""


class _Entry(NamedTuple):
    line: int
    revoked: bool
    key: bytes


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """A known-hosts file.

    Attributes:
        file: where it is.
        keep_new: take a server that is not in it on trust, and keep it there.
    """

    file: Path
    keep_new: bool = False

    def check(self, host: str, port: int, key: bytes) -> None:
        """Return if a server is the one that it was.

        Args:
            host: its name or address, in lower case.
            port: where it listens.
            key: its public key, as SSH sends it.

        Raises:
            HostKeyError: it is another one, nobody knows it, or the file cannot be used.
        """
        name = host if port == _SSH_PORT else f"[{host}]:{port}"
        try:
            with self._open() as stream:
                text = stream.read(_MAX_BYTES + 1)
                if len(text) > _MAX_BYTES:
                    raise HostKeyError(f"{self.file} has more than {_MAX_BYTES} bytes")
                if self.keep_new:
                    text = text[: text.rfind(b"\n") + 1]  # what follows is a line that a power cut has cut short
                if not self._knows(text, name, key):
                    self._keep(stream, len(text), f"{name} {_kind(key)} {base64.b64encode(key).decode()}\n")
        except OSError as error:
            raise HostKeyError(f"cannot use {self.file}: {error.strerror}") from None

    def _open(self) -> BinaryIO:
        flags, lock = (os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) if self.keep_new else (os.O_RDONLY, fcntl.LOCK_SH)
        stream = os.fdopen(os.open(self.file, flags | os.O_CLOEXEC, 0o600), "r+b" if self.keep_new else "rb")
        # From the look until the line is there others wait: two first uses must not keep two keys.
        fcntl.flock(stream, lock)
        return stream

    def _knows(self, text: bytes, name: str, key: bytes) -> bool:
        """Return if the file has the key, and False if it has none for this name.

        Raises:
            HostKeyError: it has others, says that this one is revoked, or has none and must have one.
        """
        entries = list(_entries(text, name))
        for entry in entries:
            if entry.revoked and entry.key == key:
                raise HostKeyError(f"the host key {_fingerprint(key)} of {name} is revoked: {self.file}:{entry.line}")
        valid = [entry for entry in entries if not entry.revoked]
        if any(entry.key == key for entry in valid):
            return True
        if valid:
            raise HostKeyError(
                f"the host key of {name} has changed: it is {_fingerprint(key)} now, {_fingerprint(valid[0].key)} in "
                f"{self.file}:{valid[0].line}; if that is right, remove that line"
            )
        if not self.keep_new:
            raise HostKeyError(f"the host key {_fingerprint(key)} of {name} is not in {self.file}")
        return False

    def _keep(self, stream: BinaryIO, at: int, line: str) -> None:
        stream.truncate(at)
        stream.seek(at)
        stream.write(line.encode())
        stream.flush()
        os.fsync(stream.fileno())
        sync_folder(self.file.parent)


def _entries(text: bytes, name: str) -> Iterator[_Entry]:
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or marker not in {"", "@revoked"}:
            continue
        try:
            key = base64.b64decode(words[2], validate=True)
            if _matches(words[0], name):
                yield _Entry(number, marker == "@revoked", key)
        except binascii.Error:
            continue


def _matches(patterns: str, name: str) -> bool:
    if patterns.startswith("|1|"):
        salt, _, digest = patterns[3:].partition("|")
        hashed = hmac.digest(base64.b64decode(salt, validate=True), name.encode(), hashlib.sha1)
        return hmac.compare_digest(hashed, base64.b64decode(digest, validate=True))
    found = False
    for pattern in patterns.lower().split(","):
        # Brackets are part of a name with a port; only * and ? stand for others.
        if fnmatch.fnmatchcase(name, re.sub(r"\[", "[[]", pattern.removeprefix("!"))):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _fingerprint(key: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _kind(key: bytes) -> str:
    length = int.from_bytes(key[:4], "big")
    kind = key[4 : 4 + length].decode("ascii", "replace")
    if not re.fullmatch(r"[a-z0-9@.-]{1,64}", kind):
        raise HostKeyError("the server's host key is none")
    return kind
