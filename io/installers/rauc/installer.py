"""The `rauc` installer: RAUC verifies, writes and keeps the books; we say when, and what came of it.

The target is RAUC's slot beside the booted one. Nothing is written before `install`, and what is booted never is.

- `check` has RAUC verify the bundle's signature, and compares what it is for and, if asked to, its version.
- `install` cannot be taken back once RAUC has begun: a cancel ends our waiting, RAUC goes on, and `resume` finds it.
  Where it fails, nothing of it is booted.
- `activate` makes the target the one to boot, also where RAUC has done so by itself (`activate-installed`).
- `confirm` looks which slot is booted. If it is the old one, the boot loader has given the new one up: that is kept in
  the books, so that it is not tried again.
- `mark_good` comes after the health check; `roll_back` makes the old slot active and marks the new one bad.

What RAUC's words mean is in `refusals.py`, how it is spoken to in `service.py`. docs/rauc.md says it for integrators.
"""

import math
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event
from typing import Final

import structlog

from everest_system.fsm.errors import WorldError
from everest_system.io.installers.firmware_version import FirmwareVersion
from everest_system.io.installers.port import Activation, Facts, InstallError, OnProgress, UnfitError
from everest_system.io.installers.rauc.bundle import Bundle
from everest_system.io.installers.rauc.service import RaucService, rauc_service
from everest_system.io.installers.rauc.slot_table import SlotTable

_NEVER: Final = Event()

_log = structlog.get_logger(__name__)


class RaucInstaller:
    """Installs through the RAUC service on a bus.

    Args:
        bus: `system`, `session`, or a bus's address.
        busy_timeout_s: how long to wait for what RAUC does for others.
        timeout_s: how long an installation may take; 0: as long as it takes.
        allow_downgrade: whether a bundle may be older than the one that is booted.
    """

    verifies_signatures = True

    def __init__(self, bus: str, *, busy_timeout_s: float, timeout_s: float, allow_downgrade: bool) -> None:
        self._bus, self._busy_timeout_s = bus, busy_timeout_s
        self._timeout_s = timeout_s or math.inf
        self._allow_downgrade = allow_downgrade

    def check(self, facts: Facts, *, canceled: Event = _NEVER) -> str:
        """Return the slot beside the booted one.

        Raises:
            BadSignatureError: RAUC does not take the bundle's signature.
            UnfitError: the file is no bundle, the bundle is for another station, or it is older than what is booted
                and must not be.
            InstallError: there is no RAUC, it is busy for too long, or its slots are no pair.
            CanceledError: `canceled` was set.
        """
        with self._rauc(canceled) as rauc:
            bundle = _inspected(rauc, facts.artifact)
            ours = rauc.status().compatible
            if bundle.compatible != ours and not bundle.checks_itself:
                raise UnfitError(f"the bundle is for {bundle.compatible!r}, and this station is {ours!r}")
            slots = rauc.slots()
            if not self._allow_downgrade:
                _require_no_downgrade(bundle, slots.booted.version)
            return slots.beside(slots.booted.name).name

    def install(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:
        """Have RAUC install the bundle.

        Raises:
            BadSignatureError, UnfitError: RAUC found out only now.
            InstallError: RAUC failed, or would write to another slot than the target.
            CanceledError: `canceled` was set; RAUC goes on if it has begun.
        """
        with self._rauc(canceled) as rauc:
            self._install(rauc, facts.artifact, target, on_progress)

    def resume(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:
        """Wait for what RAUC is doing, then keep what is in the target if it is the bundle, else install it again.

        Raises:
            BadSignatureError, UnfitError, InstallError, CanceledError: as for `install`.
        """
        with self._rauc(canceled) as rauc:
            rauc.wait_until_idle(self._timeout_s, on_progress)
            bundle = _inspected(rauc, facts.artifact)
            slots = rauc.slots()
            if slots.booted.name == target:
                # A power cut behind the activation boots it. Installing again would go to the slot that was good.
                if not slots.could_hold(target, bundle):
                    raise InstallError(f"{target} is booted, and the firmware in it is not the bundle's")
            elif not slots.holds(target, bundle):
                self._install(rauc, facts.artifact, target, on_progress)
            on_progress(100)

    def activate(self, facts: Facts, target: str) -> Activation:  # noqa: ARG002 - the port's signature
        """Make the target the slot to boot.

        Raises:
            InstallError: RAUC or the boot loader fails.
        """
        with self._rauc() as rauc:
            rauc.mark("active", target)
        return Activation.REBOOT

    def confirm(self, target: str) -> bool:
        """Say whether the target is booted; if it is not, keep the boot loader from trying it again.

        Raises:
            InstallError: RAUC does not know what is booted.
        """
        with self._rauc() as rauc:
            booted = rauc.slots().booted.name
            if booted == target:
                return True
            try:
                _go_back(rauc, booted, target)
            except WorldError as error:
                _log.warning(f"the slots could not be marked: {error}", booted=booted, target=target)
            return False

    def mark_good(self, target: str) -> None:
        """Tell the boot loader to stay with the target.

        Raises:
            InstallError: it does not listen.
        """
        with self._rauc() as rauc:
            rauc.mark("good", target)

    def roll_back(self, target: str) -> Activation:
        """Make the slot beside the target the one to boot, and mark the target bad.

        Raises:
            InstallError: RAUC or the boot loader fails.
        """
        with self._rauc() as rauc:
            _go_back(rauc, rauc.slots().beside(target).name, target)
        return Activation.REBOOT

    def _rauc(self, canceled: Event = _NEVER) -> AbstractContextManager[RaucService]:
        return rauc_service(self._bus, canceled=canceled, busy_timeout_s=self._busy_timeout_s)

    def _install(self, rauc: RaucService, artifact: Path, target: str, on_progress: OnProgress) -> None:
        slots = rauc.slots()
        _require_target(slots, target)
        try:
            rauc.install(artifact, timeout_s=self._timeout_s, on_progress=on_progress)
        except WorldError:
            _take_back(rauc, slots.booted.name, target)
            raise


def _inspected(rauc: RaucService, artifact: Path) -> Bundle:
    try:
        return rauc.inspect(artifact)
    except OSError as error:
        raise InstallError(f"the bundle cannot be read: {error.filename}: {error.strerror}") from error


def _require_target(slots: SlotTable, target: str) -> None:
    """RAUC picks the slot itself, and picks the one that is not booted: between check and install that may change."""
    would_be = slots.beside(slots.booted.name).name
    if would_be != target:
        raise InstallError(f"RAUC would write to {would_be}, and the firmware was to go to {target}")


def _require_no_downgrade(bundle: Bundle, active: str) -> None:
    try:
        new = FirmwareVersion(bundle.version)
    except ValueError as error:
        raise UnfitError(f"the bundle's version: {error}; and firmware.allow_downgrade is false") from error
    try:
        old = FirmwareVersion(active)
    except ValueError:  # nobody knows: a station that takes no update is worse
        _log.warning("the version that is booted is not known, so a downgrade cannot be told", version=active)
        return
    if new < old:
        raise UnfitError(f"the bundle is version {new}, older than {old}, which is booted")


def _take_back(rauc: RaucService, booted: str, target: str) -> None:
    """Keep what failed from being booted: a handler can fail when RAUC has activated the slot already."""
    try:
        if rauc.primary() == target:
            _go_back(rauc, booted, target)
    except WorldError as error:
        _log.warning(f"what would be booted is not known: {error}", booted=booted, target=target)


def _go_back(rauc: RaucService, old: str, new: str) -> None:
    rauc.mark("active", old)  # first: a power cut in between boots the old one as well
    rauc.mark("bad", new)
