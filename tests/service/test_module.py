"""One EVerest module's part of the station, as it comes from the store."""

import pytest

from everest_system.fsm.errors import WorldError
from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.module import snapshot

KEY = ("system_api", "firmware")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"request": {"request_id": 1, "location": ["ftp://fleet:secret@host/fw"]}}', "request.location: string_type"),
        ('{"request": {"request_id": 1, "location": "ftp://fleet:secret@host/fw"', "JSON: json_invalid"),
    ],
)
def test_unreadable_state(text: str, fault: str) -> None:
    """A stored state that cannot be read is named in one line, without the passwords in it."""
    with pytest.raises(WorldError) as caught:
        snapshot(FirmwareSnapshot, {KEY: text}, KEY)
    assert str(caught.value) == f"the stored state of firmware of system_api cannot be read: {fault}"
    assert caught.value.__cause__ is None
