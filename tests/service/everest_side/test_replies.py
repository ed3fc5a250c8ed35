"""Replies as EVerest reads them."""

import pytest

from everest_system.everest_side.replies import REQUESTS, parse_reply
from everest_system.fsm.messages import (
    BootReason,
    UpdateFirmwareResponse,
    UploadLogsResponse,
    UploadLogsStatus,
)
from everest_system.io.mqtt.codec import encode_reply


@pytest.mark.parametrize(
    ("command", "value"),
    [
        *(("update_firmware", word) for word in UpdateFirmwareResponse),
        *(("get_boot_reason", word) for word in BootReason),
        ("upload_logs", UploadLogsResponse(upload_logs_status=UploadLogsStatus.ACCEPTED, file_name="a.tar.gz")),
        ("upload_logs", UploadLogsResponse(upload_logs_status=UploadLogsStatus.REJECTED)),
        *((command, value) for command in ("is_reset_allowed", "set_system_time") for value in (True, False)),
    ],
)
def test_what_the_service_replies_is_understood(command, value):
    """Every reply that the service can write reads as what it meant."""
    assert parse_reply(command, encode_reply(command, value)) == value


@pytest.mark.parametrize(
    ("command", "payload"),
    [
        ("update_firmware", b"Accepted"),
        ("update_firmware", b'["Accepted"]'),
        ("update_firmware", b'"Ok"'),
        ("get_boot_reason", b'"powerup"'),
        ("get_boot_reason", b"0"),
        ("is_reset_allowed", b'"true"'),
        ("is_reset_allowed", b"1"),
        ("is_reset_allowed", b"True"),
        ("set_system_time", b"null"),
        ("upload_logs", b'"Accepted"'),
        ("upload_logs", b"{}"),
        ("upload_logs", b'{"upload_logs_status":"Accepted","file_name":null}'),
        ("upload_logs", b'{"upload_logs_status":"Accepted","file_name":1}'),
        ("upload_logs", b'{"upload_logs_status":null}'),
        ("configure_network", b'"NotSupported"'),
        ("configure_network", b'{"status":1}'),
        ("set_system_time", b"\xfftrue"),
        ("set_system_time", b"true false"),
        ("set_system_time", b" " * 70_000 + b"true"),
        ("configure_network", b'{"status":"a","x":' + b"[" * 30_000),
        ("configure_network", b'{"status":"a","x":Infinity}'),
    ],
)
def test_anything_else_is_malformed(command, payload):
    """What is not exactly a reply to that command is an error of one line."""
    with pytest.raises(ValueError, match=r"\A.+\Z"):
        parse_reply(command, payload)


def test_configure_network_is_answered_with_an_object():
    """The reply to what the service does not support is kept as it is."""
    assert parse_reply("configure_network", b'{"status":"NotSupported"}') == {"status": "NotSupported"}


def test_one_way_commands_have_no_reply():
    """Only what EVerest waits for is a request."""
    assert {"reset", "allow_firmware_installation", "heartbeat"}.isdisjoint(REQUESTS)
