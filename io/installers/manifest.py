"""The manifest of an archive: what firmware it is, and the SHA-256 of every file in it.

It is the archive's first member, `manifest.json` (docs/slots.md has an example, and how to make one):

- `format`: 1, or the manifest is not understood.
- `version`: the firmware's; optional.
- `compatible`: the kind of station that it is for, compared as it stands; optional.
- `disable_connectors_during_install`: false where charging may go on beside the installation; optional.
- `files`: each regular file of the archive but the manifest itself, by its path, and its SHA-256 in lower-case hex.

Other keys are left alone. All of it comes from outside: its size is bounded, and what does not fit is an `UnfitError`.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from everest_system.io.installers.archive import shown
from everest_system.io.installers.firmware_version import FirmwareVersion
from everest_system.io.installers.port import UnfitError

NAME: Final = "manifest.json"
MAX_BYTES: Final = 8 << 20

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}\z")]


class Manifest(BaseModel):
    """What the manifest says.

    Attributes:
        format: of the manifest.
        version: of the firmware, None if it says none.
        compatible: what it is for, None if it does not say.
        disable_connectors_during_install: whether EVerest takes the connectors out of service, None if it does not say.
        files: the SHA-256 of each file by its path.
    """

    model_config = ConfigDict(frozen=True, strict=True, arbitrary_types_allowed=True, hide_input_in_errors=True)

    format: Literal[1]
    version: FirmwareVersion | None = None
    compatible: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    disable_connectors_during_install: bool | None = None
    files: dict[str, Sha256]

    @field_validator("version", mode="before")
    @classmethod
    def _version(cls, value: object) -> object:
        return FirmwareVersion(value) if isinstance(value, str) else value

    @field_validator("files")
    @classmethod
    def _files(cls, files: dict[str, str]) -> dict[str, str]:
        if NAME in files:
            raise ValueError("it lists itself")
        return files

    @classmethod
    def parse(cls, content: bytes) -> "Manifest":
        """Read one.

        Raises:
            UnfitError: it is none, or is not understood.
        """
        try:
            return cls.model_validate(json.loads(content, object_pairs_hook=_each_key_once))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) if part in cls.model_fields else shown(str(part)) for part in first["loc"])
            raise UnfitError(f"{NAME}: {where or 'all of it'}: {first['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise UnfitError(f"{NAME}: {error}") from error

    @classmethod
    def of_slot(cls, slot: Path) -> "Manifest | None":
        """Read the one that came with the firmware in a slot; None if it has none.

        Raises:
            UnfitError: it is not understood.
            OSError: it cannot be read.
        """
        try:
            with (slot / NAME).open("rb") as stream:
                content = stream.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        if len(content) > MAX_BYTES:
            raise UnfitError(f"{NAME}: longer than {MAX_BYTES} bytes")
        return cls.parse(content)


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found
