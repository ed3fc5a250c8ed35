"""Status messages as EVerest reads them."""

import json

import pytest

from everest_system.everest_side.status import Report, parse_status
from everest_system.fsm.messages import FirmwareUpdateStatus, FirmwareUpdateStatusEnum, LogStatus, LogStatusEnum
from everest_system.io.mqtt.codec import encode_status


def message(**more):
    return json.dumps({"firmware_update_status": "Downloaded", "request_id": 1, **more}).encode()


@pytest.mark.parametrize("word", FirmwareUpdateStatusEnum)
def test_every_firmware_status_of_the_service_is_understood(word):
    """What the service can say of an update is read as that."""
    said = encode_status(FirmwareUpdateStatus(firmware_update_status=word, request_id=-1))
    assert parse_status("firmware", said) == Report("firmware", word, -1)


@pytest.mark.parametrize("word", LogStatusEnum)
def test_every_log_status_of_the_service_is_understood(word):
    """What the service can say of an upload is read as that."""
    assert parse_status("log", encode_status(LogStatus(log_status=word, request_id=9))) == Report("log", word, 9)


@pytest.mark.parametrize(
    ("sent", "read"), [(2**31 - 1, 2**31 - 1), (2**31, -(2**31)), (-(2**31), -(2**31)), (2**32 + 7, 7)]
)
def test_request_ids_wrap(sent, read):
    """EVerest keeps request ids in 32 signed bits."""
    assert parse_status("firmware", message(request_id=sent)).request_id == read


@pytest.mark.parametrize(
    ("metadata", "disables"),
    [
        ({}, True),
        ({"disable_connectors_during_install": True}, True),
        ({"disable_connectors_during_install": False}, False),
    ],
)
def test_connectors_are_disabled_unless_the_metadata_says_no(metadata, disables):
    """Metadata that says nothing means that connectors go out of service."""
    assert parse_status("firmware", message(firmware_update_metadata=metadata)).disable_connectors is disables


@pytest.mark.parametrize("metadata", [[], "x", {"disable_connectors_during_install": "false"}])
def test_malformed_metadata_is_refused(metadata):
    """Metadata of another shape makes the status unreadable."""
    with pytest.raises(ValueError, match="firmware_update_metadata is malformed"):
        parse_status("firmware", message(firmware_update_metadata=metadata))


def test_extra_keys_are_ignored():
    """What EVerest does not know does not matter."""
    assert parse_status("firmware", message(extra=[1])) == Report("firmware", "Downloaded", 1)
