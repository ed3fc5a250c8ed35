"""What firmware says of EVerest's connectors."""

from pathlib import Path
from typing import Any

import pytest
from support.archives import PACKINGS, entry, firmware, manifest, tar

from everest_system.io.installers.connectors import disable_connectors
from everest_system.io.installers.manifest import Manifest
from everest_system.io.installers.port import UnfitError

FILES = {"bin/app": b"app"}
KEY = "disable_connectors_during_install"


def said(folder: Path, content: bytes) -> bool | None:
    """What a file with this content says."""
    (folder / "fw").write_bytes(content)
    return disable_connectors(folder / "fw")


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(
    ("keys", "says"), [({KEY: False}, False), ({KEY: True}, True), ({KEY: None}, None), ({}, None)]
)
def test_the_manifest_says(tmp_path: Path, packing: str, keys: dict[str, Any], says: bool | None) -> None:
    """An archive's manifest may say yes, no or nothing, however it is packed."""
    assert said(tmp_path, firmware(FILES, packing, **keys)) is says


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"an image",
        tar([entry("bin/app", b"app")]),
        tar([entry("bin/app", b"app"), manifest(FILES, **{KEY: False})]),
        tar([entry("manifest.json", b'{"disable_connectors_during_install": false}')]),
        firmware(FILES, **{KEY: "false"}),
        firmware(FILES, "xz", **{KEY: False})[:40],
    ],
    ids=["empty", "image", "no manifest", "manifest too late", "no manifest of ours", "no boolean", "cut off"],
)
def test_what_is_not_understood_says_nothing(tmp_path: Path, content: bytes) -> None:
    """Files that the installer would refuse, or knows nothing of, are not refused here."""
    assert said(tmp_path, content) is None


def test_a_file_that_is_gone_says_nothing(tmp_path: Path) -> None:
    """It is for the installer to find that."""
    assert disable_connectors(tmp_path / "fw") is None


@pytest.mark.parametrize("value", ["0", '"false"', "[]"])
def test_only_a_boolean_will_do(value: str) -> None:
    """A manifest that says it in another way is refused with the key's name."""
    with pytest.raises(UnfitError, match=f"manifest.json: {KEY}: Input should be a valid boolean"):
        Manifest.parse(f'{{"format": 1, "files": {{}}, "{KEY}": {value}}}'.encode())
