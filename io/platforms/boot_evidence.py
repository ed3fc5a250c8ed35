"""What the machine shows of why it booted: the mark of a watchdog, and the word of the integrator's own file."""

from pathlib import Path
from typing import Final

import structlog

from everest_system.fsm.messages import BootReason

WDIOF_CARDRESET: Final = 0x20
"""In a watchdog's `bootstatus`: it has reset the machine."""

_LONGEST_WORD: Final = 64

_log = structlog.get_logger(__name__)


def watchdog_has_reset(folder: Path) -> bool:
    """Whether one of the watchdogs in `folder`, `/sys/class/watchdog` or one like it, has reset the machine."""
    try:
        files = [watchdog / "bootstatus" for watchdog in folder.iterdir()]
    except OSError:
        return False
    return any(_number(file) & WDIOF_CARDRESET for file in files)


def told_reason(file: Path) -> BootReason | None:
    """The boot reason in `file`, a word of EVerest's; None where there is no file. What is no such word is told."""
    try:
        word = _short_text(file).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning(f"platform.boot_reason_file {file} cannot be read: {error.strerror}")
        return None
    try:
        return BootReason(word)
    except ValueError:
        _log.warning(f"platform.boot_reason_file {file} has no boot reason", allowed=", ".join(BootReason))
        return None


def _number(file: Path) -> int:
    try:
        return int(_short_text(file), 0)
    except (OSError, ValueError):  # a watchdog without a memory of its own has no such file
        return 0


def _short_text(file: Path) -> bytes:
    with file.open("rb") as stream:
        start = stream.read(_LONGEST_WORD + 1)
    return start if len(start) <= _LONGEST_WORD else b""
