"""Replies: at once, to everybody who can be answered, and never later."""

import json
from pathlib import Path

import pytest
from support.virtual import SIGNED, UPLOAD, virtual, words

WIRE = [
    json.loads(line) for line in (Path(__file__).parent.parent / "data/everest-wire.jsonl").read_text().splitlines()
]


def test_never_queued() -> None:
    """A reply that cannot go out at once is never sent: its caller has given up when the broker is back."""
    with virtual() as simulation:
        question = simulation.everest().ask("set_system_time", "2026-11-22T08:30:00.000Z")
        life = simulation.life
        assert life is not None
        assert life.turn()  # the request is taken, its work is under way
        simulation.broker.cut()
        simulation.run_for(60)
        assert question.replies == []
        assert simulation.broker.has_station
        simulation.everest().repeat(question)
        simulation.run_for(1)
        assert question.replies == [True]


def test_forgotten_with_the_service() -> None:
    """What was asked of a service that was killed is not answered by the next one."""
    with virtual() as simulation:
        question = simulation.everest().ask("set_system_time", "2026-11-22T08:30:00.000Z")
        simulation.kill_service(1)
        simulation.run_for(60)
        assert question.replies == []


def test_no_time_passes() -> None:
    """Every request is answered at the moment it comes, whatever is going on."""
    with virtual({"install_s": 600}) as simulation:
        everest = simulation.everest()
        everest.ask("update_firmware", SIGNED)
        simulation.run_for(60)
        asked = [
            everest.ask("update_firmware", {**SIGNED, "request_id": 2}),
            everest.ask("upload_logs", UPLOAD),
            everest.ask("is_reset_allowed", "Soft"),
            everest.ask("set_system_time", "2026-11-22T08:30:00.000Z"),
            everest.ask("get_boot_reason"),
            everest.ask("configure_network", {"request_id": 1}),
        ]
        simulation.run_for(0.001)
        replies = [question.replies for question in asked]
        assert replies[0] == ["Rejected"]
        assert replies[1][0].upload_logs_status == "Accepted"
        assert replies[2:] == [[False], [True], ["PowerUp"], [{"status": "NotSupported"}]]


def test_reply_elsewhere() -> None:
    """A replyTo outside the module's own reply topic gets no reply, and nothing is carried out."""
    with virtual() as simulation:
        message = {"headers": {"replyTo": "everest_api/1/system/other/m2e/reply/1"}, "payload": SIGNED}
        simulation.everest().tell("update_firmware", json.dumps(message).encode())
        before = len(simulation.broker.log)
        simulation.run_for(1)
        assert {topic for topic, _, _ in simulation.broker.log[before:]} <= {
            "everest_api/1/system/system_api/m2e/communication_check"
        }
        assert simulation.state("system_api", "firmware") == "IDLE"


def test_same_reply_topic_for_another_command() -> None:
    """A request is known by its command and its replyTo: with another command's replyTo it gets its own reply."""
    with virtual() as simulation:
        reply_to = "everest_api/1/system/system_api/m2e/reply/fixed"
        for command, payload in [("is_reset_allowed", "Hard"), ("set_system_time", "2026-11-22T08:30:00.000Z")] * 2:
            message = {"headers": {"replyTo": reply_to}, "payload": payload}
            simulation.everest().tell(command, json.dumps(message).encode())
            simulation.run_for(1)
        simulation.everest().tell("get_boot_reason", json.dumps({"headers": {"replyTo": reply_to}}).encode())
        simulation.run_for(1)
        assert [message for topic, message, _ in simulation.broker.log if topic == reply_to] == [
            b"true", b"true", b"true", b"true", b'"PowerUp"',
        ]  # fmt: skip


@pytest.mark.parametrize(
    "recorded", WIRE, ids=[f"{line['everest']}-{line['command']}-{number}" for number, line in enumerate(WIRE)]
)
def test_recorded(recorded: dict[str, str]) -> None:
    """Each message recorded from a real EVerest gets exactly one well-formed reply if it wants one, else none."""
    with virtual(firmware={"unsigned": "accept"}) as simulation:
        command, payload = recorded["command"], recorded["payload"].encode()
        before = len(simulation.broker.log)
        simulation.broker.to_station(recorded["topic"], payload)
        simulation.run_for(0.01)
        replies = [message for topic, message, _ in simulation.broker.log[before:] if "/m2e/reply/" in topic]
        assert len(replies) == (b"replyTo" in payload)
        assert all(json.loads(reply) is not None for reply in replies), command


def test_statuses_wait_for_the_reply() -> None:
    """The first status leaves half a second after its reply: it must not overtake the OCPP response."""
    with virtual() as simulation:
        simulation.everest().ask("update_firmware", SIGNED)
        simulation.run_for(0.49)
        assert words(simulation) == []
        simulation.run_for(0.02)
        assert words(simulation) == ["Downloading"]
