"""RAUC's service on a D-Bus, for the length of one call of the port.

RAUC does one thing at a time, for whoever asks, and refuses all else meanwhile, questions included. So each call here
waits until RAUC is idle, at most `busy_timeout_s` for all of them together, and says whom it waited for if that was too
short. An installation, once taken, cannot be taken back: a cancel ends our waiting, and RAUC goes on.

What RAUC says counts only from the process that answered first: one that ends in the middle and is started anew knows
nothing of our installation, and would look as if all were well.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final

import structlog

from everest_system.io.dbus import Bus, BusError, CallError, Signal, plain
from everest_system.io.installers.port import BadSignatureError, InstallError, OnProgress, UnfitError
from everest_system.io.installers.rauc.bundle import Bundle, ends_in_signature
from everest_system.io.installers.rauc.refusals import refusal
from everest_system.io.installers.rauc.slot_table import SlotTable

NAME: Final = "de.pengutronix.rauc"
PATH: Final = "/"
INTERFACE: Final = "de.pengutronix.rauc.Installer"
IDLE: Final = "idle"

_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_UNKNOWN_METHOD: Final = "org.freedesktop.DBus.Error.UnknownMethod"
_BUSY_WORDS: Final = "already processing a different method"
_NO_WORDS: Final = "rauc info error"  # all that RAUC before 1.9 says of a bundle that it refuses
_POLL_S: Final = 1.0
_PAUSE_S: Final = 0.1
_START_S: Final = 30.0  # right after a boot, on a slow board
_ANSWER_S: Final = 120.0  # boot loaders and slots on slow flash are asked in it
_INSPECT_S: Final = 1800.0  # the signature of a plain bundle is over all of its bytes

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RaucStatus:
    """What RAUC is doing: `operation` (`idle`, `installing`), how far (percent), and the last failure's words."""

    operation: str
    percent: int
    last_error: str
    compatible: str


@contextmanager
def rauc_service(address: str, *, canceled: Event, busy_timeout_s: float) -> Iterator["RaucService"]:
    """Find RAUC on a bus; it is started if the bus knows how.

    Raises:
        InstallError: there is no such bus, or no RAUC on it; also from within, where the bus fails.
        CanceledError: `canceled` was set; from each call.
    """
    try:
        with Bus(address, canceled=canceled, timeout_s=_START_S) as bus:
            yield RaucService(bus, busy_timeout_s)
    except ModuleNotFoundError as error:
        raise InstallError(f"the library {error.name} is not installed: it comes with everest-system[rauc]") from error
    except BusError as error:
        raise InstallError(f"RAUC on the {address} bus: {error}") from error


class RaucService:
    """RAUC; see the module.

    Args:
        bus: where it is; for this alone.
        busy_timeout_s: how long all calls together may wait for what RAUC does for others.

    Raises:
        BusError: from each call, where there is no RAUC or it does not answer; a refusal is told apart where said.
    """

    def __init__(self, bus: Bus, busy_timeout_s: float) -> None:
        self._bus, self._busy_timeout_s = bus, busy_timeout_s
        self._patience_until = time.monotonic() + busy_timeout_s
        self._owner = bus.owner(NAME, start=True)
        bus.listen(self._owner, PATH, INTERFACE, "Completed")
        bus.listen(self._owner, PATH, _PROPERTIES, "PropertiesChanged")

    def status(self) -> RaucStatus:
        """Ask what it is doing."""
        values = self._bus.properties(self._owner, PATH, INTERFACE, timeout_s=_ANSWER_S)
        return RaucStatus(
            operation=str(values.get("Operation", "")),
            percent=_percent(values) or 0,
            last_error=str(values.get("LastError", "")),
            compatible=str(values.get("Compatible", "")),
        )

    def wait_until_idle(self, timeout_s: float | None = None, on_progress: OnProgress | None = None) -> None:
        """Wait until it does nothing.

        Args:
            timeout_s: how long; None: as long as others are waited for.
            on_progress: told how far RAUC is, where what it does is ours.

        Raises:
            InstallError: it took too long.
        """
        until = self._patience_until if timeout_s is None else time.monotonic() + timeout_s
        told = False
        while (status := self.status()).operation != IDLE:
            if not told:
                _log.info("waiting for RAUC", operation=status.operation, percent=status.percent)
                told = True
            if on_progress is not None:
                on_progress(status.percent)
            if time.monotonic() >= until:
                patience = self._busy_timeout_s if timeout_s is None else timeout_s
                whose = "" if on_progress else " for somebody else"
                raise InstallError(f"RAUC is still busy{whose} after {patience:g} s: {status.operation}")
            self._bus.signal(min(_POLL_S, max(until - time.monotonic(), 0.01)))

    def inspect(self, path: Path) -> Bundle:
        """Have a bundle's signature verified, and say what it is.

        Raises:
            BadSignatureError, UnfitError, InstallError: RAUC refuses it, by its words.
            OSError: it cannot be read.
        """
        try:
            (told,) = self._call("InspectBundle", "sa{sv}", str(path), {}, timeout_s=_INSPECT_S)
            return Bundle.of_inspection(told)
        except CallError as error:
            if error.name != _UNKNOWN_METHOD:
                raise refusal(error.text) from error
        return self._info(path)

    def _info(self, path: Path) -> Bundle:
        """Inspect as it was done before RAUC 1.9, which refuses without a word."""
        is_bundle = ends_in_signature(path)  # now: RAUC may take the file over, and then it is not ours to read
        try:
            return Bundle(*self._call("Info", "s", str(path), timeout_s=_INSPECT_S))
        except CallError as error:
            if error.text != _NO_WORDS:
                raise refusal(error.text) from error
            if is_bundle:
                raise BadSignatureError("RAUC does not take the bundle's signature") from error
            raise UnfitError("RAUC does not take the file for a bundle: it is broken, or cut off") from error

    def slots(self) -> SlotTable:
        """Ask for its slots."""
        (told,) = self._call("GetSlotStatus", timeout_s=_ANSWER_S)
        return SlotTable(told)

    def primary(self) -> str:
        """Ask which slot would be booted next."""
        return str(self._call("GetPrimary", timeout_s=_ANSWER_S)[0])

    def mark(self, state: str, slot: str) -> None:
        """Mark a slot `good`, `bad` or `active`, in the boot loader too."""
        self._call("Mark", "ss", state, slot, timeout_s=_ANSWER_S)
        _log.info("slot marked", slot=slot, state=state)

    def install(self, path: Path, *, timeout_s: float, on_progress: OnProgress) -> None:
        """Have a bundle installed, and wait for the end of it.

        Args:
            timeout_s: how long that may take.
            on_progress: told RAUC's percent.

        Raises:
            BadSignatureError, UnfitError, InstallError: RAUC failed, by its words; or it took too long, and goes on.
        """
        self._call("InstallBundle", "sa{sv}", str(path), {}, timeout_s=_ANSWER_S)
        self._bus.drop_signals()  # whatever was said before the answer was about others
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            signal = self._bus.signal(min(_POLL_S, timeout_s))
            if signal is None:
                on_progress(self.status().percent)  # fails where this RAUC is no more
            elif signal.member == "Completed":
                if signal.values != (0,):
                    raise refusal(self.status().last_error)
                return
            elif (percent := _progress(signal)) is not None:
                on_progress(percent)
        raise InstallError(f"RAUC has not installed the bundle within {timeout_s:g} s, and still tries")

    def _call(self, method: str, signature: str = "", *values: Any, timeout_s: float) -> tuple[Any, ...]:
        """Call a method once RAUC is idle, again if somebody else was quicker."""
        while True:
            self.wait_until_idle()
            self._bus.drop_signals()
            try:
                return self._bus.call(self._owner, PATH, INTERFACE, method, signature, *values, timeout_s=timeout_s)
            except CallError as error:
                if not self._was_busy(error):
                    raise
                if time.monotonic() >= self._patience_until:
                    words = f"RAUC is still busy for somebody else after {self._busy_timeout_s:g} s"
                    raise InstallError(words) from error
            self._bus.signal(_PAUSE_S)

    def _was_busy(self, error: CallError) -> bool:
        """Whether a call was refused because of another; RAUC before 1.9 says so only by what came in between."""
        if _BUSY_WORDS in error.text.lower():
            return True
        if error.text != _NO_WORDS:
            return False
        busy = self.status().operation != IDLE
        while (signal := self._bus.signal(0)) is not None:
            busy = busy or signal.member == "Completed"
        return busy


def _progress(signal: Signal) -> int | None:
    interface, changed, _ = signal.values
    return _percent(plain(changed)) if interface == INTERFACE else None


def _percent(values: dict[str, Any]) -> int | None:
    match values.get("Progress"):
        case (int(percent), *_):
            return min(max(percent, 0), 100)
    return None
