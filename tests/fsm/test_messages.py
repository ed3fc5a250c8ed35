"""The models of the messages."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from support.examples import examples

from everest_system.fsm.messages import (
    CommunicationCheck,
    FirmwareUpdateMetadata,
    FirmwareUpdateRequest,
    FirmwareUpdateStatus,
    FirmwareUpdateStatusEnum,
    HeartBeatId,
    LogStatus,
    LogStatusEnum,
    ResetAllowed,
    ResetRequest,
    ResetType,
    SystemTime,
    SystemTimeSet,
    UploadLogsRequest,
    UploadLogsResponse,
    UploadLogsStatus,
)

FIRMWARE = {"location": "https://fw.example.test/fw.bin", "request_id": 4711}
LOGS = {"location": "sftp://logs.example.test/in/"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=8,
)
MOMENTS = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 28), timezones=st.timezones())  # noqa: DTZ001


def optional(strategy):
    return st.none() | strategy


def with_unknown_properties(model, **known):
    names = st.text(min_size=1).filter(lambda name: name not in model.model_fields)
    return st.builds(
        lambda fields, unknown: model.model_validate({**unknown, **fields}),
        st.fixed_dictionaries(known),
        st.dictionaries(names, JSON, max_size=3),
    )


REQUEST_IDS = st.integers(-(2**31), 2**31 - 1)
ATTEMPTS = {"retries": optional(st.integers(1, 1000)), "retry_interval_s": optional(st.integers(0, 2_592_000))}
MODELS = st.one_of(
    with_unknown_properties(
        FirmwareUpdateRequest,
        **ATTEMPTS,
        request_id=REQUEST_IDS,
        location=st.text(min_size=1, max_size=99),
        retrieve_timestamp=optional(MOMENTS),
        install_timestamp=optional(MOMENTS),
        signing_certificate=optional(st.text()),
        signature=optional(st.text()),
    ),
    with_unknown_properties(
        UploadLogsRequest,
        **ATTEMPTS,
        request_id=optional(REQUEST_IDS),
        location=st.text(min_size=1, max_size=99),
        oldest_timestamp=optional(MOMENTS),
        latest_timestamp=optional(MOMENTS),
        type=optional(st.text(min_size=1, max_size=99)),
    ),
    with_unknown_properties(ResetRequest, type=st.sampled_from(ResetType), scheduled=st.booleans()),
    with_unknown_properties(
        FirmwareUpdateStatus,
        firmware_update_status=st.sampled_from(FirmwareUpdateStatusEnum),
        request_id=REQUEST_IDS,
        firmware_update_metadata=optional(with_unknown_properties(FirmwareUpdateMetadata)),
    ),
    with_unknown_properties(LogStatus, log_status=st.sampled_from(LogStatusEnum), request_id=REQUEST_IDS),
    with_unknown_properties(
        UploadLogsResponse,
        upload_logs_status=st.sampled_from(UploadLogsStatus),
        file_name=optional(st.text(min_size=1, max_size=255)),
    ),
    st.builds(SystemTime, MOMENTS),
    st.builds(HeartBeatId, st.integers(0, 2**64 - 1)),
    st.sampled_from(
        [schema(word) for schema in (ResetAllowed, SystemTimeSet, CommunicationCheck) for word in (True, False)]
    ),
)


@settings(max_examples=examples(400))
@given(MODELS)
def test_models_survive_json(model):
    """Every model comes back from JSON equal to what was stored, unknown properties included."""
    assert type(model).model_validate_json(model.model_dump_json()) == model


@settings(max_examples=examples(400))
@given(MODELS)
def test_models_survive_json_within_a_snapshot(model):
    """The same holds for a model that is a part of a larger one."""

    class Snapshot(BaseModel):
        request: type(model) | None = None

    snapshot = Snapshot(request=model)
    assert Snapshot.model_validate_json(snapshot.model_dump_json()) == snapshot


@pytest.mark.parametrize(
    ("model", "content", "key", "values"),
    [
        (FirmwareUpdateRequest, FIRMWARE, "request_id", ["1", 1.0, 1.5, True, None, [], {}, -(2**31) - 1, 2**31]),
        (FirmwareUpdateRequest, FIRMWARE, "retries", ["3", 3.0, True, 0, -1, 1001]),
        (FirmwareUpdateRequest, FIRMWARE, "retry_interval_s", ["3", 3.5, False, -1, 30 * 86400 + 1]),
        (FirmwareUpdateRequest, FIRMWARE, "location", ["", 7, None, b"http://x", ["http://x"], "h" * 8193, "\ud800"]),
        (FirmwareUpdateRequest, FIRMWARE, "retrieve_timestamp", ["yesterday", "", 0, 1795333720.5, True, []]),
        (FirmwareUpdateRequest, FIRMWARE, "install_timestamp", ["2026-11-22", datetime(2026, 1, 1)]),  # noqa: DTZ001
        (FirmwareUpdateRequest, FIRMWARE, "signing_certificate", [1, b"", "c" * 65537]),
        (FirmwareUpdateRequest, FIRMWARE, "signature", [1, False, "s" * 16385]),
        (UploadLogsRequest, LOGS, "request_id", ["1", 1.5, True, 2**31]),
        (UploadLogsRequest, LOGS, "retries", [0, "1"]),
        (UploadLogsRequest, LOGS, "retry_interval_s", [-1, 0.5]),
        (UploadLogsRequest, LOGS, "location", ["", None]),
        (UploadLogsRequest, LOGS, "oldest_timestamp", ["yesterday"]),
        (UploadLogsRequest, LOGS, "latest_timestamp", [1]),
        (UploadLogsRequest, LOGS, "type", [1, "", "t" * 256]),
        (ResetRequest, {}, "type", ["soft", "", 0, None, True]),
        (ResetRequest, {}, "scheduled", ["true", 1, 0, None]),
        (LogStatus, {"log_status": "Idle", "request_id": 1}, "log_status", ["idle", "Downloading", None]),
        (UploadLogsResponse, {"upload_logs_status": "Accepted"}, "file_name", ["", "n" * 256, 1]),
    ],
)
def test_wrong_types_and_values_out_of_range_are_refused(model, content, key, values):
    """A property of the wrong JSON type or outside its range is an error that names the property."""
    model.model_validate(content)
    for value in values:
        with pytest.raises(ValidationError) as caught:
            model.model_validate({**content, key: value})
        assert caught.value.errors()[0]["loc"][0] == key


@pytest.mark.parametrize(
    ("model", "content"),
    [
        (FirmwareUpdateRequest, {"request_id": -(2**31), "location": "l", "retries": 1, "retry_interval_s": 0}),
        (
            FirmwareUpdateRequest,
            {"request_id": 2**31 - 1, "location": "l" * 8192, "retries": 1000, "retry_interval_s": 30 * 86400},
        ),
        (FirmwareUpdateRequest, {**FIRMWARE, "signing_certificate": "c" * 65536, "signature": "s" * 16384}),
        (UploadLogsRequest, {**LOGS, "type": "t" * 255}),
    ],
)
def test_the_limits_themselves_are_allowed(model, content):
    """Each range includes its ends."""
    assert model.model_validate(content).model_dump(exclude_none=True) == content


@pytest.mark.parametrize("missing", ["location", "request_id"])
def test_required_properties_are_required(missing):
    """A firmware request without a location or an id is none."""
    with pytest.raises(ValidationError, match=missing):
        FirmwareUpdateRequest.model_validate({key: value for key, value in FIRMWARE.items() if key != missing})


@pytest.mark.parametrize("value", [-1, 2**64, True, 1.0, "1", None])
def test_heartbeats_are_unsigned_integers_of_64_bits(value):
    """What is no unsigned integer of 64 bits is no heartbeat."""
    assert HeartBeatId(2**64 - 1).root == 2**64 - 1
    with pytest.raises(ValidationError):
        HeartBeatId.model_validate(value)


def test_times_are_kept_in_utc():
    """A time is kept as an aware datetime in UTC, whatever its zone was."""
    moment = datetime(2026, 11, 22, 7, 48, 40, 0, UTC)
    abroad = moment.astimezone(timezone(timedelta(hours=1)))
    for value in ("2026-11-22T08:48:40+01:00", abroad):
        assert SystemTime.model_validate(value).root == moment
        assert SystemTime.model_validate(value).root.tzinfo is UTC


def test_a_missing_zone_is_told_through_the_context():
    """A list given as context receives the warning about a missing zone; without a list only the warning is lost."""
    content = {**LOGS, "oldest_timestamp": "2026-11-01T00:00:00", "latest_timestamp": "2026-11-02T00:00:00Z"}
    warnings = []
    assert UploadLogsRequest.model_validate(content, context=warnings) == UploadLogsRequest.model_validate(content)
    assert warnings == ["2026-11-01T00:00:00 names no time zone, UTC taken"]


def test_absent_properties_have_their_meaning():
    """What OCPP 1.6 leaves out is understood: id -1, the diagnostics, an unspecified reset at once."""
    logs = UploadLogsRequest.model_validate(LOGS)
    assert (logs.status_request_id, logs.log_type) == (-1, "DiagnosticsLog")
    logs = UploadLogsRequest.model_validate({**LOGS, "request_id": 0, "type": "SecurityLog"})
    assert (logs.status_request_id, logs.log_type) == (0, "SecurityLog")
    reset = ResetRequest.model_validate({})
    assert (reset.type, reset.scheduled) == (ResetType.NOT_SPECIFIED, False)


def test_models_are_immutable():
    """A request that was read cannot be changed any more."""
    request = FirmwareUpdateRequest.model_validate(FIRMWARE)
    with pytest.raises(ValidationError, match="frozen"):
        request.request_id = 1


def test_secrets_do_not_show():
    """Neither the text of a request nor that of an error about it shows a password."""
    location = "ftp://user:secret@example.com/fw.bin"
    request = FirmwareUpdateRequest(location=location, request_id=1, signature="secret", signing_certificate="secret")
    assert "secret" not in f"{request!r} {request}"
    assert "secret" not in repr(UploadLogsRequest(location=location))
    with pytest.raises(ValidationError) as caught:
        FirmwareUpdateRequest.model_validate({"location": [location], "request_id": location})
    assert "secret" not in str(caught.value)
