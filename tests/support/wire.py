"""What EVerest says, for tests: recordings of a real one, well-formed requests, and the replies to malformed ones."""

import json
from pathlib import Path

from everest_system.io.mqtt.codec import Refusal, decode
from everest_system.io.mqtt.topics import Topics

TOPICS = Topics("", "system_api")
COMMANDS = "everest_api/1/system/system_api/e2m/"
REPLY = "everest_api/1/system/system_api/m2e/reply/fd019f06-e75b-4421-825c-370231bfcb15"
RECORDINGS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "everest-wire.jsonl").read_text(encoding="utf-8").splitlines()
]
CONSERVATIVE = {
    "update_firmware": b'"Rejected"',
    "upload_logs": b'{"upload_logs_status":"Rejected"}',
    "is_reset_allowed": b"false",
    "set_system_time": b"false",
    "get_boot_reason": b'"Unknown"',
    "configure_network": b'{"status":"NotSupported"}',
}
WELL_FORMED = {
    "update_firmware": {"location": "http://example.com/firmware.bin", "request_id": 1},
    "upload_logs": {"location": "http://example.com/logs"},
    "is_reset_allowed": "Soft",
    "set_system_time": "2026-11-22T07:48:40.123Z",
    "get_boot_reason": None,
}


def receive(command, payload):
    """Decode a message of EVerest's, given as bytes or as a value."""
    if not isinstance(payload, bytes):
        payload = json.dumps(payload).encode()
    return decode(TOPICS, COMMANDS + command, payload)


def request(command, **properties):
    """A well-formed request with a reply topic, with some properties changed."""
    content = {**WELL_FORMED[command], **properties} if properties else WELL_FORMED[command]
    return {"headers": {"replyTo": REPLY}, "payload": content}


def refused(command, reason):
    """The refusal with the conservative reply to a request that has a reply topic."""
    return Refusal(command, REPLY, CONSERVATIVE[command], reason)
