"""What a station requires of firmware before it goes into a slot, whoever has signed it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from everest_system.io.installers.firmware_version import FirmwareVersion
from everest_system.io.installers.port import UnfitError

if TYPE_CHECKING:
    from everest_system.io.installers.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Requirements:
    """Holds a manifest to what is configured.

    Attributes:
        manifest: whether firmware has to have one at all; an image has none.
        compatible: what its manifest has to be for; "" for anything.
        allow_downgrade: whether it may be older than the active one. If not, it has to say its version, or a detour
            over firmware without one would lead to any. The same version may come again.
        max_unpacked_bytes: the most that an archive may unpack to.
    """

    manifest: bool = False
    compatible: str = ""
    allow_downgrade: bool = True
    max_unpacked_bytes: int = 8 << 30

    def judge(self, manifest: "Manifest | None", active: FirmwareVersion | None) -> None:
        """Let firmware pass, or not.

        Args:
            manifest: the firmware's, None if it has none.
            active: the version that runs, None if nobody knows it.

        Raises:
            UnfitError: the firmware does not fit; it says why.
        """
        if manifest is None and self.manifest:
            raise UnfitError("the firmware has no manifest, and firmware.slots.manifest requires one")
        if self.compatible and (manifest is None or manifest.compatible != self.compatible):
            of = repr(manifest.compatible) if manifest and manifest.compatible else "nobody says what"
            raise UnfitError(f"the firmware is for {of}, and this station is {self.compatible!r}")
        if self.allow_downgrade:
            return
        if manifest is None or manifest.version is None:
            raise UnfitError("the firmware does not say its version, and firmware.allow_downgrade is false")
        if active is not None and manifest.version < active:
            raise UnfitError(f"the firmware is version {manifest.version}, older than {active}, which is active")
