"""Between bytes and commands: what is well-formed."""

import json
from datetime import UTC, datetime

import pytest
from support.wire import CONSERVATIVE, RECORDINGS, REPLY, TOPICS, WELL_FORMED, receive, refused, request

from everest_system.fsm.messages import (
    BootReason,
    CommunicationCheck,
    FirmwareUpdateMetadata,
    FirmwareUpdateRequest,
    FirmwareUpdateStatus,
    FirmwareUpdateStatusEnum,
    HeartBeatId,
    LogStatus,
    LogStatusEnum,
    ResetRequest,
    ResetType,
    SystemTime,
    UpdateFirmwareResponse,
    UploadLogsRequest,
    UploadLogsResponse,
    UploadLogsStatus,
)
from everest_system.io.mqtt.codec import Command, Refusal, decode, encode_reply, encode_status
from everest_system.io.mqtt.topics import Topics

SIGNED_UPDATE = FirmwareUpdateRequest(
    install_timestamp=datetime(2026, 11, 22, 9, 30, 0, 123000, UTC),
    location="https://fw.example.test/a/b%20c/fw.bin?x=1&y=2",
    request_id=4711,
    retries=3,
    retrieve_timestamp=datetime(2026, 11, 22, 8, 0, 0, 0, UTC),
    retry_interval_s=60,
    signature="c2lnbmF0dXJl+/==",
    signing_certificate="-----BEGIN CERTIFICATE-----\nMIIB+zCCAaGg\n-----END CERTIFICATE-----\n",
)
FULL_UPLOAD = UploadLogsRequest(
    latest_timestamp=datetime(2026, 11, 22, 0, 0, 0, 0, UTC),
    location="sftp://logs.example.test/in/",
    oldest_timestamp=datetime(2026, 11, 1, 0, 0, 0, 0, UTC),
    request_id=77,
    retries=2,
    retry_interval_s=30,
    type="DiagnosticsLog",
)
NO_LOCATION = 'location: String should have at least 1 character (got "")'
SAID_BY_BOTH = [
    HeartBeatId(0),
    HeartBeatId(1),
    None,
    SIGNED_UPDATE,
    FirmwareUpdateRequest(location="http://example.com/firmware.bin", request_id=1),
    FULL_UPLOAD,
    UploadLogsRequest(location="http://example.com/logs"),
    UploadLogsRequest(location="http://example.com/logs"),
    ResetType.SOFT,
    ResetType.HARD,
    ResetType.NOT_SPECIFIED,
    ResetType.HARD,
    ResetRequest(scheduled=False, type=ResetType.SOFT),
    ResetRequest(scheduled=True, type=ResetType.HARD),
    ResetRequest(scheduled=False, type=ResetType.NOT_SPECIFIED),
    SystemTime(datetime(2026, 11, 22, 7, 48, 40, 123000, UTC)),
    SystemTime(datetime(2026, 11, 22, 7, 48, 40, 0, UTC)),
    None,
]
UMLAUTS = FirmwareUpdateRequest(location="http://exämple.test/ü", request_id=-1)
SAID = [
    *SAID_BY_BOTH,
    "not supported",
    "not supported",
    UMLAUTS,
    NO_LOCATION,
    'payload: not an RFC 3339 time (got "now")',
    *SAID_BY_BOTH,
    UMLAUTS,
    NO_LOCATION,
]


@pytest.mark.parametrize(
    ("recording", "said"),
    list(zip(RECORDINGS, SAID, strict=True)),
    ids=[f"{number}-{recording['everest']}-{recording['command']}" for number, recording in enumerate(RECORDINGS, 1)],
)
def test_recordings_are_understood(recording, said):
    """What a real EVerest said decodes to what it meant: the command, or the refusal with its reply."""
    payload = recording["payload"].encode()
    reply_to = json.loads(payload)["headers"]["replyTo"] if b"replyTo" in payload else None
    command = recording["command"]
    expected = (
        Refusal(command, reply_to, CONSERVATIVE[command], said)
        if isinstance(said, str) and not isinstance(said, ResetType)
        else Command(command, "system_api", reply_to, said)
    )
    assert decode(TOPICS, recording["topic"], payload) == expected


@pytest.mark.parametrize("recording", RECORDINGS)
def test_prefixed_recordings_are_understood(recording):
    """With a prefix the topics carry it and replyTo does not; the reply topic gets it back."""
    payload = recording["payload"].encode()
    plain, prefixed = (
        decode(Topics(prefix, "system_api"), prefix + recording["topic"], payload) for prefix in ("", "site7/")
    )
    assert type(plain) is type(prefixed)
    assert prefixed.reply_to == (plain.reply_to and "site7/" + plain.reply_to)
    assert decode(Topics("site7/", "system_api"), recording["topic"], payload) is None


@pytest.mark.parametrize("topic", ["everest_api/1/system/other/e2m/reset", "everest_api/ready_beacon", "", REPLY])
def test_other_topics_are_left_alone(topic):
    """A message that is not one of the module's commands is nothing to us."""
    assert decode(TOPICS, topic, b"{}") is None


@pytest.mark.parametrize("payload", [b"", b"true", b"{}", b"\xff\0garbage", b"[" * 100_000, b"x" * 3_000_000])
def test_a_permission_is_one_whatever_it_says(payload):
    """`allow_firmware_installation` counts with any payload: none, `true`, or garbage."""
    assert receive("allow_firmware_installation", payload) == Command(
        "allow_firmware_installation", "system_api", None, None
    )


def test_a_reset_without_details_is_unspecified():
    """An empty reset is one at once, of no type in particular."""
    assert receive("reset", {}).payload == ResetRequest(type=ResetType.NOT_SPECIFIED, scheduled=False)


@pytest.mark.parametrize("command", WELL_FORMED)
@pytest.mark.parametrize("headers", [{}, {"headers": {}}, {"headers": {"other": 1}}])
def test_requests_without_an_address_are_carried_out(command, headers):
    """A request without replyTo is accepted, as the specification says; it only gets no reply."""
    answered = receive(command, request(command))
    unanswered = receive(command, {**headers, "payload": WELL_FORMED[command]})
    assert isinstance(answered, Command)
    assert unanswered == Command(command, "system_api", None, answered.payload)


@pytest.mark.parametrize("payload", [{"request_id": 5, "interface": "Wired0"}, "garbage", None])
def test_networks_are_not_ours_to_configure(payload):
    """`configure_network` is answered NotSupported, well-formed or not."""
    message = {"headers": {"replyTo": REPLY}, "payload": payload}
    assert receive("configure_network", message) == refused("configure_network", "not supported")


def test_unknown_properties_are_kept():
    """What a newer EVerest adds is kept and does no harm, as deep as a snapshot can hold it."""
    deep = 1
    for _ in range(60):
        deep = [deep]
    content = receive("update_firmware", request("update_firmware", later={"x": None}, deep=deep)).payload
    assert content.model_extra == {"later": {"x": None}, "deep": deep}
    assert FirmwareUpdateRequest.model_validate_json(content.model_dump_json()) == content


@pytest.mark.parametrize(
    ("command", "payload"),
    [
        ("set_system_time", "2026-11-22T07:48:40"),
        ("upload_logs", {"location": "http://example.com/logs", "oldest_timestamp": "2026-11-22T07:48:40"}),
    ],
)
def test_a_time_without_a_zone_is_taken_with_a_warning(command, payload):
    """A time without a zone is understood as UTC, and the command says so."""
    taken = receive(command, {"headers": {"replyTo": REPLY}, "payload": payload})
    assert isinstance(taken, Command)
    assert taken.warnings == ("2026-11-22T07:48:40 names no time zone, UTC taken",)


@pytest.mark.parametrize(
    ("command", "value", "reply"),
    [
        ("update_firmware", UpdateFirmwareResponse.ACCEPTED, b'"Accepted"'),
        ("update_firmware", UpdateFirmwareResponse.ACCEPTED_CANCELED, b'"AcceptedCanceled"'),
        (
            "upload_logs",
            UploadLogsResponse(upload_logs_status=UploadLogsStatus.REJECTED),
            b'{"upload_logs_status":"Rejected"}',
        ),
        (
            "upload_logs",
            UploadLogsResponse(file_name="ü.tar.gz", upload_logs_status=UploadLogsStatus.ACCEPTED),
            '{"file_name":"ü.tar.gz","upload_logs_status":"Accepted"}'.encode(),
        ),
        ("is_reset_allowed", True, b"true"),
        ("set_system_time", False, b"false"),
        ("get_boot_reason", BootReason.POWER_UP, b'"PowerUp"'),
    ],
)
def test_replies_are_exact(command, value, reply):
    """A reply is the JSON that EVerest parses: quotes, booleans, and no null."""
    assert encode_reply(command, value) == reply


@pytest.mark.parametrize(
    ("command", "value"),
    [
        ("update_firmware", True),
        ("update_firmware", BootReason.UNKNOWN),
        ("update_firmware", UploadLogsResponse(upload_logs_status=UploadLogsStatus.REJECTED)),
        ("upload_logs", UploadLogsStatus.ACCEPTED),
        ("is_reset_allowed", "true"),
        ("set_system_time", 1),
        ("get_boot_reason", UpdateFirmwareResponse.ACCEPTED),
    ],
)
def test_replies_of_another_command_are_not_written(command, value):
    """A value that EVerest would not understand as the answer to this command is an error here."""
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's and Enum's own words
        encode_reply(command, value)


@pytest.mark.parametrize(
    ("status", "written"),
    [
        (
            FirmwareUpdateStatus(firmware_update_status=FirmwareUpdateStatusEnum.DOWNLOADING, request_id=-1),
            b'{"firmware_update_status":"Downloading","request_id":-1}',
        ),
        (
            FirmwareUpdateStatus(
                firmware_update_status=FirmwareUpdateStatusEnum.DOWNLOADED,
                request_id=1,
                firmware_update_metadata=FirmwareUpdateMetadata(disable_connectors_during_install=False),
            ),
            (
                b'{"firmware_update_status":"Downloaded","request_id":1,'
                b'"firmware_update_metadata":{"disable_connectors_during_install":false}}'
            ),
        ),
        (LogStatus(log_status=LogStatusEnum.UPLOADED, request_id=7), b'{"log_status":"Uploaded","request_id":7}'),
        (CommunicationCheck(True), b"true"),
        (CommunicationCheck(False), b"false"),
    ],
)
def test_statuses_are_exact(status, written):
    """A status is the JSON that EVerest parses, without what is absent."""
    assert encode_status(status) == written
