"""What a bundle is, as RAUC tells it, and what can be seen of it from outside."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_SIZE_BYTES: Final = 8
_MAX_SIGNATURE: Final = 64 << 10
_BLOCK: Final = 4096
_SEQUENCE: Final = 0x30
_LONG_FORM: Final = 0x80


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that RAUC has verified.

    Attributes:
        compatible: the kind of station that it is for.
        version: "" if it says none.
        checks_itself: it brings a hook along that judges instead of a comparison of `compatible`.
        images: the SHA-256 of its images, by the class of slot that each is for; none where RAUC does not tell.
    """

    compatible: str
    version: str
    checks_itself: bool = False
    images: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of_inspection(cls, told: Mapping[str, Any]) -> "Bundle":
        """Read what `InspectBundle` returned, an `a{sv}`; what is not as expected counts as not told."""
        update = _table(told.get("update"))
        images: dict[str, set[str]] = {}
        listed = _bare(told.get("images"))
        for values in filter(None, map(_table, listed if isinstance(listed, list) else ())):
            images.setdefault(str(values.get("slot-class", "")), set()).add(str(values.get("checksum", "")))
        hooks = _table(told.get("hooks")).get("hooks")
        return cls(
            compatible=str(update.get("compatible", "")),
            version=str(update.get("version", "")),
            checks_itself=isinstance(hooks, list) and "install-check" in hooks,
            images={name: frozenset(digests) for name, digests in images.items()},
        )


def ends_in_signature(path: Path) -> bool:
    """Say whether a file ends as a bundle does: blocks, a signature, and the signature's length in eight bytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END) - _SIZE_BYTES
        if end <= 0:
            return False
        stream.seek(end)
        size = int.from_bytes(stream.read(_SIZE_BYTES), "big")
        if not 0 < size <= min(_MAX_SIGNATURE, end) or (end - size) % _BLOCK:
            return False
        stream.seek(end - size)
        return _is_der(stream.read(size))


def _is_der(data: bytes) -> bool:
    """One DER sequence, and nothing behind it: what a CMS is from outside."""
    if len(data) < 2 or data[0] != _SEQUENCE:
        return False
    if data[1] < _LONG_FORM:
        return len(data) == 2 + data[1]
    head = 2 + data[1] - _LONG_FORM
    return len(data) == head + int.from_bytes(data[2:head], "big")


def _bare(value: Any) -> Any:
    """Take a variant's signature away, and that of a variant in it."""
    while isinstance(value, tuple) and len(value) == 2:
        value = value[1]
    return value


def _table(value: Any) -> dict[str, Any]:
    bare = _bare(value)
    return {name: _bare(inner) for name, inner in bare.items()} if isinstance(bare, dict) else {}
