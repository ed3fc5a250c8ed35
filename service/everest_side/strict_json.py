"""JSON as EVerest reads it: UTF-8, no NaN or Infinity, and here bounded as well."""

import json
from typing import Any, Final, NoReturn

_LARGEST_BYTES: Final = 64 * 1024


def read_json(payload: bytes) -> Any:
    """Read one JSON value.

    Raises:
        ValueError: the bytes are none, or more than 64 KiB.
    """
    if len(payload) > _LARGEST_BYTES:
        raise ValueError(f"{len(payload)} bytes are more than {_LARGEST_BYTES}")
    try:
        return json.loads(payload.decode(), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_json(value: Any) -> bytes:
    """Write a value as EVerest does: compact, keys in order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
