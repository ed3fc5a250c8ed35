"""What a firmware file says itself of EVerest's connectors, whichever installer it is for."""

from pathlib import Path

from everest_system.io.installers.port import InstallError, UnfitError
from everest_system.io.installers.unpacking import holds_archive, manifest_of


def disable_connectors(artifact: Path) -> bool | None:
    """Whether the connectors are to be out of service during the installation, by the manifest of an archive.

    Returns:
        None if the file says nothing, or nothing that is understood: it is for the installer to refuse that.
    """
    try:
        manifest = manifest_of(artifact) if holds_archive(artifact) else None
    except (UnfitError, InstallError, OSError):
        return None
    return None if manifest is None else manifest.disable_connectors_during_install
