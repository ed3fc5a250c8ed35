"""Between bytes and commands: what is malformed or hostile."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples
from support.wire import CONSERVATIVE, RECORDINGS, REPLY, WELL_FORMED, receive, refused, request

from everest_system.fsm.messages import FirmwareUpdateRequest, HeartBeatId, UploadLogsRequest
from everest_system.io.mqtt.codec import Command, Refusal

ONE_WAY = ["reset", "heartbeat", "allow_firmware_installation"]


@pytest.mark.parametrize("name", ["made_up", "Reset", "replyTo", "x" * 99, "a\nb"])
def test_unknown_commands_are_told_and_not_answered(name):
    """An unknown command is a refusal without a reply, whose reason is fit for a log."""
    refusal = receive(name, {"headers": {"replyTo": REPLY}, "payload": {}})
    assert (refusal.command, refusal.reply_to, refusal.reply) == ("unknown", None, None)
    assert refusal.reason.startswith("unknown command ")
    assert refusal.reason.isprintable()
    assert len(refusal.reason) < 80


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (True, "payload: Input should be a valid integer (got true)"),
        (1.0, "payload: Input should be a valid integer (got 1.0)"),
        ("1", 'payload: Input should be a valid integer (got "1")'),
        (None, "payload: Input should be a valid integer (got null)"),
        (-1, "payload: Input should be greater than or equal to 0 (got -1)"),
        (2**64, f"payload: Input should be less than {2**64} (got {2**64})"),
        (b"", "not JSON at character 0: Expecting value"),
        (b"42 43", "not JSON at character 3: Extra data"),
        (b"9" * 65, "a number of 65 characters"),
    ],
)
def test_heartbeats_are_strict(payload, reason):
    """Only an unsigned JSON integer of 64 bits is a heartbeat."""
    assert receive("heartbeat", 2**64 - 1) == Command("heartbeat", "system_api", None, HeartBeatId(2**64 - 1))
    assert receive("heartbeat", payload) == Refusal("heartbeat", None, None, reason)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"type": "soft"}, "type: Input should be 'Soft', 'Hard' or 'NotSpecified' (got \"soft\")"),
        ({"type": None}, "type: null is no value"),
        ({"scheduled": 1}, "scheduled: Input should be a valid boolean (got 1)"),
        ("Soft", 'payload: should be an object (got "Soft")'),
        (b"{", "not JSON at character 1: Expecting property name enclosed in double quotes"),
    ],
)
def test_malformed_resets_are_refused(payload, reason):
    """A reset that is not understood resets nothing, and nobody waits for a reply."""
    assert receive("reset", payload) == Refusal("reset", None, None, reason)


@pytest.mark.parametrize(
    ("command", "properties", "reason"),
    [
        ("update_firmware", {"request_id": "1"}, 'request_id: Input should be a valid integer (got "1")'),
        ("update_firmware", {"request_id": 1.5}, "request_id: Input should be a valid integer (got 1.5)"),
        ("update_firmware", {"request_id": True}, "request_id: Input should be a valid integer (got true)"),
        ("update_firmware", {"request_id": 2**31}, f"request_id: Input should be less than {2**31} (got {2**31})"),
        ("update_firmware", {"request_id": []}, "request_id: Input should be a valid integer (got an array)"),
        ("update_firmware", {"retries": 0}, "retries: Input should be greater than or equal to 1 (got 0)"),
        ("update_firmware", {"retries": None}, "retries: null is no value"),
        (
            "update_firmware",
            {"retry_interval_s": -1},
            "retry_interval_s: Input should be greater than or equal to 0 (got -1)",
        ),
        ("update_firmware", {"location": {}}, "location: Input should be a valid string (got an object)"),
        (
            "update_firmware",
            {"retrieve_timestamp": "yesterday"},
            'retrieve_timestamp: not an RFC 3339 time (got "yesterday")',
        ),
        ("upload_logs", {"latest_timestamp": 5}, "latest_timestamp: should be an RFC 3339 time in a string (got 5)"),
        ("upload_logs", {"request_id": None}, "request_id: null is no value"),
        ("upload_logs", {"type": 3}, "type: Input should be a valid string (got 3)"),
    ],
)
def test_wrong_properties_are_refused_by_name(command, properties, reason):
    """A request with a wrong property gets the conservative reply, and the reason names the property."""
    assert receive(command, request(command, **properties)) == refused(command, reason)


@pytest.mark.parametrize(
    ("command", "payload", "reason"),
    [
        ("update_firmware", {"request_id": 1}, "location: missing"),
        ("update_firmware", "Soft", 'payload: should be an object (got "Soft")'),
        ("upload_logs", None, "payload: should be an object (got null)"),
        ("is_reset_allowed", "soft", 'payload: should be one of Soft, Hard, NotSpecified (got "soft")'),
        ("is_reset_allowed", ["Soft"], "payload: should be one of Soft, Hard, NotSpecified (got an array)"),
        ("is_reset_allowed", {"type": "Soft"}, "payload: should be one of Soft, Hard, NotSpecified (got an object)"),
        ("set_system_time", "now", 'payload: not an RFC 3339 time (got "now")'),
        ("set_system_time", 1795333720, "payload: should be an RFC 3339 time in a string (got 1795333720)"),
    ],
)
def test_wrong_payloads_are_refused(command, payload, reason):
    """A request whose payload is of another kind gets the conservative reply."""
    assert receive(command, {"headers": {"replyTo": REPLY}, "payload": payload}) == refused(command, reason)


@pytest.mark.parametrize("command", ["update_firmware", "upload_logs", "is_reset_allowed", "set_system_time"])
def test_a_payload_is_required(command):
    """A request that needs a payload is refused without one."""
    assert receive(command, {"headers": {"replyTo": REPLY}}) == refused(command, "payload: missing")


HEADERS = b'{"headers":{"replyTo":"' + REPLY.encode() + b'"},"payload":'
BROKEN = {
    "cut off": (
        b'{"location":"http://exa',
        f"not JSON at character {len(HEADERS) + 12}: Unterminated string starting at",
    ),
    "not UTF-8": (b'{"location":"\xff"}}', f"not UTF-8 at byte {len(HEADERS) + 13}"),
    "NaN": (b'{"request_id":NaN}}', "not JSON: NaN"),
    "Infinity": (b'{"request_id":-Infinity}}', "not JSON: -Infinity"),
    "a huge integer": (b'{"request_id":' + b"9" * 5000 + b"}}", "a number of 5000 characters"),
    "a huge float": (b'{"request_id":1e999}}', "a number beyond all bounds"),
    "a key twice": (b'{"request_id":1,"request_id":2,"location":"x"}}', '"request_id" stands twice'),
    "deep": (b"[" * 60_000 + b"]" * 60_000 + b"}", "more than 64 levels"),
    "rather deep": (b"[" * 64 + b"]" * 64 + b"}", "more than 64 levels"),
    "half a surrogate": (b'{"location":"\\ud83d","request_id":1}}', "half of a surrogate pair"),
    "half a surrogate in a key": (b'{"\\udc00":1,"location":"x","request_id":1}}', "half of a surrogate pair"),
    "a megabyte": (b'{"location":"' + b"x" * 1_000_000 + b'"}}', f"{len(HEADERS) + 1_000_016} bytes, more than 262144"),
    "ten megabytes": (
        b'{"location":"' + b"x" * 10_000_000 + b'"}}',
        f"{len(HEADERS) + 10_000_016} bytes, more than 262144",
    ),
}


@pytest.mark.parametrize("command", CONSERVATIVE)
@pytest.mark.parametrize("fault", BROKEN)
def test_broken_messages_are_answered_all_the_same(command, fault):
    """Whatever is wrong with a message, a replyTo that can be read gets the conservative reply."""
    payload, reason = BROKEN[fault]
    assert receive(command, HEADERS + payload) == refused(command, reason)


def test_headers_behind_the_payload_are_read_too():
    """The order of the keys does not matter, not even in a message that cannot be parsed."""
    payload = b'{"payload":NaN, "headers" : { "x": 1, "replyTo" : "' + REPLY.encode() + b'" } }'
    assert receive("update_firmware", payload) == refused("update_firmware", "not JSON: NaN")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not JSON",
        b"[]",
        b'"Soft"',
        b"\xff\xfe",
        b'{"headers":{}',
        b'{"headers":{"replyTo":"elsewhere"},"payload":NaN}',
        b'{"headers":{"replyTo":"' + REPLY.encode() + b'/#"},"payload":NaN}',
        b'{"payload":"\\"headers\\":{\\"replyTo\\":\\"' + REPLY.encode() + b'\\"}",NaN}',
        HEADERS + HEADERS.replace(b"fd019f06", b"00000000") + b"NaN}}",
        b" " * (2 * 1024 * 1024) + HEADERS + b"1}",
    ],
)
def test_broken_messages_without_a_clear_address_are_not_answered(payload):
    """What is broken and names no reply topic of ours, or more than one, or too late to look for, gets no reply."""
    refusal = receive("update_firmware", payload)
    assert isinstance(refusal, Refusal)
    assert (refusal.reply_to, refusal.reply) == (None, None)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (
            {"replyTo": "cmd/anything"},
            'headers.replyTo: should be below this module\'s m2e/reply/ (got "cmd/anything")',
        ),
        ({"replyTo": ""}, 'headers.replyTo: should be below this module\'s m2e/reply/ (got "")'),
        ({"replyTo": None}, "headers.replyTo: should be below this module's m2e/reply/ (got null)"),
        ({"replyTo": 5}, "headers.replyTo: should be below this module's m2e/reply/ (got 5)"),
        (
            {"replyTo": REPLY + "/#"},
            "headers.replyTo: should be below this module's m2e/reply/ (got a text of 80 characters)",
        ),
        (
            {"replyTo": REPLY.replace("system_api", "other")},
            "headers.replyTo: should be below this module's m2e/reply/ (got a text of 73 characters)",
        ),
        (None, "headers: should be an object (got null)"),
        ([], "headers: should be an object (got an array)"),
    ],
)
@pytest.mark.parametrize("command", CONSERVATIVE)
def test_nobody_makes_us_publish_elsewhere(command, headers, reason):
    """A well-formed request with an address that is not ours is neither answered nor carried out."""
    message = {"headers": headers, "payload": WELL_FORMED.get(command)}
    assert receive(command, message) == Refusal(command, None, None, reason)


@pytest.mark.parametrize(
    "properties",
    [
        {"request_id": "ftp://user:secret@h"},
        {"retries": "user:secret@h"},
        {"location": ["ftp://user:secret@h"]},
        {"location": "ftp://user:secret@h" * 1000},
        {"signature": {"secret": "secret"}},
        {"secret@": 1, "install_timestamp": "x" * 40 + "secret"},
    ],
)
def test_reasons_hold_no_secrets(properties):
    """No reason repeats what may hold a password, nor more than a few words of anything else."""
    reason = receive("update_firmware", request("update_firmware", **properties)).reason
    assert "secret" not in reason
    assert len(reason) < 160


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just("\ud800"),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from([*CONSERVATIVE, *ONE_WAY, "made_up"])


@st.composite
def damaged(draw):
    recording = draw(st.sampled_from(RECORDINGS))
    payload = bytearray(recording["payload"].encode())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(payload)))
        payload[start : start + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return recording["command"], bytes(payload)


@settings(max_examples=examples(400))
@given(st.tuples(NAMES, st.binary() | JSON.map(lambda value: json.dumps(value).encode())) | damaged())
def test_no_bytes_do_harm(message):
    """Whatever bytes come, they are a command, or a refusal fit for a log, and a reply goes nowhere else."""
    name, payload = message
    taken = receive(name, payload)
    assert taken.reply_to is None or taken.reply_to.startswith("everest_api/1/system/system_api/m2e/reply/")
    if isinstance(taken, Refusal):
        assert taken.reason.isprintable()
        assert len(taken.reason) < 300
        assert taken.reply == (CONSERVATIVE[name] if taken.reply_to else None)


@settings(max_examples=examples(300))
@given(st.sampled_from([*WELL_FORMED]), JSON, st.dictionaries(st.text(), JSON, max_size=3), st.booleans())
def test_every_request_with_an_address_is_answered(name, value, unknown, whole):
    """Whatever a request says, its replyTo is kept for the reply, and what is accepted can be stored and read again."""
    content = {**unknown, **WELL_FORMED[name]} if whole and isinstance(WELL_FORMED[name], dict) else value
    taken = receive(name, {"headers": {"replyTo": REPLY}, "payload": content})
    assert taken.reply_to == REPLY
    if isinstance(taken, Command) and isinstance(taken.payload, FirmwareUpdateRequest | UploadLogsRequest):
        assert type(taken.payload).model_validate_json(taken.payload.model_dump_json()) == taken.payload
