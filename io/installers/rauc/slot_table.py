"""The slots that RAUC knows, and which of them is which."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from everest_system.io.dbus import plain
from everest_system.io.installers.port import InstallError
from everest_system.io.installers.rauc.bundle import Bundle


@dataclass(frozen=True, slots=True)
class RaucSlot:
    """One slot; a word that RAUC does not say is "".

    Attributes:
        name: such as `rootfs.0`.
        kind: its class, such as `rootfs`.
        parent: the slot that it belongs to.
        bootable: a boot loader knows it.
        booted: what runs came from it.
        whole: RAUC's last word on it was that an image was written to its end.
        compatible, version: of the bundle in it.
        sha256: of the image in it.
    """

    name: str
    kind: str
    parent: str
    bootable: bool
    booted: bool
    whole: bool
    compatible: str
    version: str
    sha256: str


class SlotTable:
    """All of them, as `GetSlotStatus` returned them."""

    def __init__(self, told: Iterable[tuple[str, Mapping[str, tuple[str, Any]]]]) -> None:
        self._slots = {name: _slot(name, plain(values)) for name, values in told}

    @property
    def booted(self) -> RaucSlot:
        """What runs.

        Raises:
            InstallError: RAUC does not know.
        """
        for slot in self._slots.values():
            if slot.booted and not slot.parent:
                return slot
        raise InstallError("RAUC does not know which slot is booted")

    def beside(self, one: str) -> RaucSlot:
        """Return the other one of a pair.

        Raises:
            InstallError: `one` is none of the slots, or not one of two.
        """
        if one not in self._slots:
            raise InstallError(f"RAUC has no slot {one!r}")
        kind = self._slots[one].kind
        found = [
            slot
            for slot in self._slots.values()
            if slot.kind == kind and slot.bootable and not slot.parent and slot.name != one
        ]
        if len(found) != 1:
            raise InstallError(f"RAUC has {len(found)} slots beside {one}, where one was expected")
        return found[0]

    def holds(self, target: str, bundle: Bundle) -> bool:
        """Say whether all of the bundle is in the target and what belongs to it, by the digests of its images.

        Nobody knows where RAUC does not tell them; then the answer is no.
        """
        group = {slot.kind: slot for slot in self._slots.values() if target in {slot.name, slot.parent}}
        return bool(bundle.images) and all(
            kind in group and group[kind].whole and group[kind].sha256 in digests
            for kind, digests in bundle.images.items()
        )

    def could_hold(self, target: str, bundle: Bundle) -> bool:
        """Say whether the target has firmware of the bundle's name and version, and nothing is against it."""
        slot = self._slots[target]
        if (slot.compatible, slot.version) != (bundle.compatible, bundle.version):
            return False
        return not bundle.images or self.holds(target, bundle)


def _slot(name: str, values: Mapping[str, Any]) -> RaucSlot:
    def word(key: str) -> str:
        value = values.get(key, "")
        return value if isinstance(value, str) else ""

    return RaucSlot(
        name=name,
        kind=word("class"),
        parent=word("parent"),
        bootable=bool(word("bootname")),
        booted=word("state") == "booted",
        whole=word("status") == "ok",
        compatible=word("bundle.compatible"),
        version=word("bundle.version"),
        sha256=word("sha256"),
    )
