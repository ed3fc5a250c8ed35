"""EVerest's side against a real broker and a scripted system."""

import re
import threading
from datetime import UTC, datetime

import pytest
from support.scripted_system import DEADLINE_S, ScriptedSystem

from everest_system.demo.broker import EmbeddedBroker
from everest_system.everest_side import EverestSide, EverestSideError, NoReplyError, NoStatusError
from everest_system.everest_side.run import NOT_STARTED
from everest_system.fsm.messages import ResetType
from everest_system.io.mqtt.codec import Command, decode
from everest_system.io.mqtt.link import MqttSettings
from everest_system.io.mqtt.topics import Topics

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
UNSIGNED = {"location": "http://example.com/fw.bin", "request_id": 7}
SIGNED = {**UNSIGNED, "signing_certificate": "PEM", "signature": "c2ln"}


def words(statuses):
    return [(status.word, status.request_id) for status in statuses]


def update(system, everest, payload=SIGNED):
    system.replies["update_firmware"] = [b'"Accepted"']
    assert everest.call("update_firmware", payload) == "Accepted"


def heard_all(system, everest):
    """Wait until all that the system has said is through, in both directions."""
    system.replies["is_reset_allowed"] = [b"true"]
    for _ in range(2):  # what it made EVerest's side say is ahead of the second question
        assert everest.call("is_reset_allowed", "Soft") is True


# Heartbeat


def test_heartbeats_count_from_zero(system, side):
    """The heartbeat is 0, 1, 2, … in whole JSON numbers."""
    side(heartbeat_s=0.02)
    assert system.wait_for_beats(4)[:4] == [0, 1, 2, 3]


def test_first_heartbeat_means_that_it_listens(system, side):
    """What is said at the first heartbeat is heard."""
    everest = side(heartbeat_s=600, ocpp=None)
    assert system.wait_for_beats(1) == [0]
    system.status("Downloading", 1)
    assert everest.wait_for("Downloading", 1).kind == "firmware"


def test_heartbeat_can_be_off(system, side):
    """Without a period there is no heartbeat."""
    everest = side()
    heard_all(system, everest)
    assert system.beats == []


def test_numbers_go_on_while_heartbeats_are_muted(system, side):
    """A heartbeat that stops and comes back has counted on, like one whose messages were lost."""
    everest = side(heartbeat_s=0.02)
    before = len(system.wait_for_beats(1))
    everest.mute_heartbeat()
    heard_all(system, everest)
    before = len(system.beats)
    threading.Event().wait(0.1)  # time itself is what counts here
    assert len(system.beats) <= before + 1
    everest.unmute_heartbeat()
    beats = system.wait_for_beats(before + 3)
    assert beats == sorted(set(beats))
    assert beats[-1] >= len(beats) + 2


def test_muting_needs_a_heartbeat_to_matter(side):
    """Muting what is off anyway does nothing."""
    everest = side()
    everest.mute_heartbeat()
    everest.unmute_heartbeat()
    assert everest.ended == ""


# Requests


@pytest.mark.parametrize("prefix", ["", "site7/", "no slash "])
def test_requests_are_wrapped_and_replied_to_below_the_prefix(port, side, prefix):
    """A request goes to PREFIX + topic, its replyTo has no prefix, and the reply comes on PREFIX + replyTo."""
    with ScriptedSystem(port, prefix) as system:
        everest = side(prefix=prefix)
        update(system, everest, UNSIGNED)
        message = system.next("update_firmware")
    assert message["payload"] == UNSIGNED
    assert set(message) == {"headers", "payload"}
    assert re.fullmatch(f"everest_api/1/system/system_api/m2e/reply/{UUID}", message["headers"]["replyTo"])


def test_the_service_understands_the_requests(system, everest):
    """What is sent reads as a command with the reply topic that is listened on."""
    update(system, everest)
    raw = system.next_raw("update_firmware")
    command = decode(Topics("", "system_api"), "everest_api/1/system/system_api/e2m/update_firmware", raw)
    assert isinstance(command, Command)
    assert command.payload is not None
    assert raw == b'{"headers":{"replyTo":"%b"},"payload":{%b}}' % (
        command.reply_to.encode(),
        b'"location":"http://example.com/fw.bin","request_id":7,"signature":"c2ln","signing_certificate":"PEM"',
    )


def test_asks_for_the_boot_reason_at_its_start(system, side):
    """get_boot_reason is asked once, without a payload."""
    everest = side()
    assert everest.boot_reason() == "PowerUp"
    assert set(system.next("get_boot_reason")) == {"headers"}
    assert system.count("get_boot_reason") == 1


def test_without_ocpp_nobody_asks_for_the_boot_reason(system, side):
    """Only an OCPP module asks for the boot reason."""
    everest = side(ocpp=None)
    with pytest.raises(NoReplyError, match="nobody asked"):
        everest.boot_reason()
    heard_all(system, everest)
    assert system.count("get_boot_reason") == 0


@pytest.mark.parametrize(
    "malformed",
    [b"Accepted", b'"accepted"', b'{"status":"Accepted"}', b"", b"\xff", b"null", b'"Accepted" ,', b"[" * 60000],
)
def test_malformed_reply_is_an_error_and_the_caller_waits_on(system, everest, malformed):
    """A malformed reply is noted, and the well-formed one behind it counts."""
    system.replies["update_firmware"] = [malformed, b'"Rejected"']
    assert everest.call("update_firmware", UNSIGNED) == "Rejected"
    assert len(everest.warnings) == 1
    assert "/m2e/reply/" in everest.warnings[0]


def test_malformed_reply_alone_is_no_reply(system, everest):
    """A caller that gets nothing but a malformed reply waits for its full time."""
    system.replies["is_reset_allowed"] = [b'"true"']
    with pytest.raises(NoReplyError, match=r"no reply to is_reset_allowed within 0\.1 s"):
        everest.call("is_reset_allowed", "Soft", timeout_s=0.1)


def test_second_reply_is_ignored(system, everest):
    """The first reply counts, repetitions do no harm."""
    system.replies["is_reset_allowed"] = [b"false", b"true", b"nonsense"]
    assert everest.call("is_reset_allowed", "Hard") is False
    heard_all(system, everest)
    assert everest.warnings == []


def test_different_commands_run_at_once(system, everest):
    """A request that waits for its reply does not hold up another command."""
    failed = threading.Event()

    def wait_in_vain():
        with pytest.raises(EverestSideError, match="stopped"):
            everest.call("upload_logs", {"location": "http://example.com/"}, timeout_s=60)
        failed.set()

    waiting = threading.Thread(target=wait_in_vain)
    waiting.start()
    system.next("upload_logs")
    heard_all(system, everest)
    assert not failed.is_set()
    everest.stop()
    waiting.join(DEADLINE_S)
    assert failed.is_set()


def test_a_command_without_reply_cannot_be_called(everest):
    """Nobody waits for what never comes."""
    with pytest.raises(ValueError, match="reset is no command with a reply"):
        everest.call("reset", {})


# One-way messages


@pytest.mark.parametrize(
    ("reset_type", "scheduled", "sent"),
    [
        (ResetType.SOFT, False, b'{"scheduled":false,"type":"Soft"}'),
        (ResetType.HARD, True, b'{"scheduled":true,"type":"Hard"}'),
        (ResetType.NOT_SPECIFIED, False, b'{"scheduled":false,"type":"NotSpecified"}'),
    ],
)
def test_reset_goes_unwrapped(system, everest, reset_type, scheduled, sent):
    """A reset has no headers, and reads byte for byte as EVerest's own."""
    everest.reset(reset_type, scheduled=scheduled)
    assert system.next_raw("reset") == sent


@pytest.mark.parametrize("payload", [b"true", b""])
def test_permission_as_either_release_sends_it(system, side, payload):
    """The permission is `true` or no bytes at all."""
    side(permission_payload=payload).allow_installation()
    assert system.next_raw("allow_firmware_installation") == payload


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_requests_of_every_qos_arrive(system, side, qos):
    """Requests and their replies get through with either release's QoS, never retained."""
    everest = side(request_qos=qos)
    update(system, everest)
    assert [retained for _, _, retained, _ in system.heard] == [False, False]


# Statuses


def test_statuses_of_both_kinds_are_logged_in_order(system, everest):
    """The log has time, kind, word and request id of each status."""
    system.status("Downloading", 7)
    system.log_status("Uploading", 8)
    everest.wait_for("Uploading", 8)
    first, second = everest.statuses
    assert (first.kind, first.word, first.request_id) == ("firmware", "Downloading", 7)
    assert (second.kind, second.word, second.request_id) == ("log", "Uploading", 8)
    assert first.at <= second.at


@pytest.mark.parametrize(
    "payload",
    [
        b'{"firmware_update_status":"Downloading"}',
        b'{"firmware_update_status":"downloading","request_id":1}',
        b'{"firmware_update_status":"Uploading","request_id":1}',
        b'{"firmware_update_status":["Downloading"],"request_id":1}',
        b'{"firmware_update_status":"Downloading","request_id":"1"}',
        b'{"firmware_update_status":"Downloading","request_id":true}',
        b'{"firmware_update_status":"Downloaded","request_id":1,"firmware_update_metadata":1}',
        b'"Downloading"',
        b"",
        b'{"firmware_update_status":"Downloading","request_id":NaN}',
    ],
)
def test_status_that_everest_cannot_read_is_warned_about_and_dropped(system, everest, payload):
    """A missing request id or an unknown word never becomes a status."""
    system.say("firmware_update_status", payload)
    heard_all(system, everest)
    assert everest.arrived == []
    assert len(everest.warnings) == 1


def test_duplicates_are_dropped(system, everest):
    """The same word and id again is dropped; behind another status it passes."""
    for word in ("Downloading", "Downloading", "DownloadFailed", "Downloading"):
        system.status(word, 7)
    heard_all(system, everest)
    assert words(everest.statuses) == [("Downloading", 7), ("DownloadFailed", 7), ("Downloading", 7)]
    assert [status.dropped for status in everest.arrived] == ["", "repeats the last one", "", ""]


def test_end_status_that_comes_too_early_is_lost_for_good(system, side):
    """Before the CSMS has accepted the boot a status is dropped, and after that its repetition as well."""
    everest = side()
    system.status("Installed", 7)
    heard_all(system, everest)
    system.replies["set_system_time"] = [b"true"]
    assert everest.accept_boot() is True
    system.status("Installed", 7)
    heard_all(system, everest)
    assert everest.statuses == []
    assert [status.dropped for status in everest.arrived] == [
        "came before the CSMS accepted the boot",
        "repeats the last one",
    ]


def test_accepting_the_boot_sets_the_clock(system, side):
    """set_system_time carries the CSMS's time as EVerest writes it, and the reply is handed on."""
    system.replies["set_system_time"] = [b"false"]
    everest = side()
    assert everest.accept_boot(datetime(2026, 11, 22, 8, 30, 0, 123000, UTC)) is False
    assert system.next("set_system_time")["payload"] == "2026-11-22T08:30:00.123Z"


def test_waits_for_a_status_that_is_still_to_come(system, everest):
    """A waiting caller wakes with the status that fits, by word or by test."""
    speaker = threading.Timer(0.05, lambda: [system.status("Downloading", 7), system.status("Downloaded", 7)])
    speaker.start()
    assert everest.wait_for(lambda status: status.word.startswith("Downloaded"), 7).word == "Downloaded"
    assert everest.wait_for("Downloading", timeout_s=None).request_id == 7
    speaker.join()


def test_waiting_from_a_place_on_skips_what_came_before(system, everest):
    """`since` finds the second of two like statuses."""
    for word in ("Downloading", "DownloadFailed", "Downloading"):
        system.status(word, 7)
    heard_all(system, everest)
    first = everest.wait_for("Downloading", 7)
    assert everest.wait_for("Downloading", 7, since=1) is everest.statuses[2] is not first


def test_waiting_ends_with_the_time(system, everest):
    """What never comes is an error that says what came instead."""
    system.status("Downloading", 7)
    everest.wait_for("Downloading", 7)
    with pytest.raises(NoStatusError, match=r"no Installed of request 7 within 0\.05 s .*Downloading 7"):
        everest.wait_for("Installed", 7, timeout_s=0.05)
    with pytest.raises(NoStatusError, match=r"no status within 0\.05 s"):
        everest.wait_for(lambda _: False, timeout_s=0.05)


def test_retained_status_is_noticed(port, side):
    """A retained status is heard at the start as EVerest would, and warned about."""
    topic = "everest_api/1/system/retaining/m2e/firmware_update_status"
    payload = b'{"firmware_update_status":"Installed","request_id":7}'
    publish(port, topic, payload)
    everest = side(module_id="retaining", ocpp=None)
    assert everest.wait_for("Installed", 7)
    publish(port, topic, b"")
    assert "is retained" in everest.warnings[0]


def publish(port, topic, payload):
    from paho.mqtt.publish import single

    single(topic, payload, 1, retain=True, hostname="127.0.0.1", port=port)


# Permission


@pytest.mark.parametrize(
    ("request_", "trigger"),
    [
        (SIGNED, "SignatureVerified"),
        ({**UNSIGNED, "signing_certificate": "PEM"}, "SignatureVerified"),
        ({**UNSIGNED, "signature": "c2ln"}, "SignatureVerified"),
        (UNSIGNED, "Downloaded"),
    ],
)
def test_permission_follows_its_trigger(system, everest, request_, trigger):
    """The installation is allowed at the trigger status of that kind of request, once."""
    update(system, everest, request_)
    given = []
    for word in ("Downloading", "Downloaded", "SignatureVerified"):
        system.status(word, 7)
        heard_all(system, everest)
        given.append((word, system.count("allow_firmware_installation")))
    assert next(word for word, count in given if count) == trigger
    assert given[-1][1] == 1


def test_repeated_trigger_permits_only_behind_another_status(system, everest):
    """A repeated trigger is a duplicate; after InstallScheduled it makes EVerest answer again."""
    update(system, everest)
    for word in ("SignatureVerified", "SignatureVerified", "InstallScheduled", "SignatureVerified"):
        system.status(word, 7)
    heard_all(system, everest)
    assert system.count("allow_firmware_installation") == 2


def test_no_permission_when_connectors_stay(system, everest):
    """disable_connectors_during_install=false means that no permission comes."""
    update(system, everest)
    system.status("SignatureVerified", 7, firmware_update_metadata={"disable_connectors_during_install": False})
    heard_all(system, everest)
    assert system.count("allow_firmware_installation") == 0


def test_no_permission_for_a_refused_request(system, everest):
    """A request that was rejected is none that Downloaded could trigger for."""
    system.replies["update_firmware"] = [b'"Rejected"']
    everest.call("update_firmware", UNSIGNED)
    everest.call("update_firmware", "no object")
    system.replies["update_firmware"] = [b'"Accepted"']
    everest.call("update_firmware", "no object")
    system.status("Downloaded", 7)
    heard_all(system, everest)
    assert system.count("allow_firmware_installation") == 0


def test_permission_can_come_later(system, side):
    """A delay stands for the transaction that must end first."""
    everest = side(ocpp="1.6", permission_delay_s=0.05)
    system.status("SignatureVerified", 7)
    heard_all(system, everest)
    assert system.next_raw("allow_firmware_installation") == b"true"


def test_delayed_permission_ends_with_the_run(system, side):
    """A permission that is still to come is forgotten when EVerest restarts."""
    everest = side(ocpp="1.6", permission_delay_s=0.2)
    system.status("SignatureVerified", 7)
    everest.wait_for("SignatureVerified", 7)
    everest.restart()
    threading.Event().wait(0.3)  # past its time
    heard_all(system, everest)
    assert system.count("allow_firmware_installation") == 0


def test_permission_can_be_withheld(system, side):
    """Without a delay the permission never comes by itself."""
    everest = side(ocpp="1.6", permission_delay_s=None)
    system.status("SignatureVerified", 7)
    heard_all(system, everest)
    assert system.count("allow_firmware_installation") == 0


# Communication monitoring


def test_communication_fault_stands_until_the_first_sign_of_life(system, side):
    """EVerest begins with the fault raised, the first `true` clears it, and only JSON booleans count."""
    everest = side()
    assert everest.communication_fault
    system.say("communication_check", b"1")
    heard_all(system, everest)
    assert everest.communication_fault
    assert len(everest.warnings) == 1
    system.say("communication_check", b"true")
    everest.wait_for_service()
    assert not everest.communication_fault


def test_gap_in_the_communication_raises_the_fault(system, side):
    """A silence longer than the period is a fault, and is counted when the next sign of life comes."""
    everest = side(check_period_s=0.05)
    system.say("communication_check", b"true")
    heard_all(system, everest)
    threading.Event().wait(0.1)  # the silence
    assert everest.communication_fault
    system.say("communication_check", b"true")
    heard_all(system, everest)
    assert everest.communication_gaps == 1


def test_waiting_for_a_service_that_is_not_there(side):
    """Without any sign of life the wait ends with an error."""
    with pytest.raises(EverestSideError, match=r"no sign of life from the service within 0\.05 s"):
        side(ocpp=None).wait_for_service(0.05)


# Beginning, end, and the next run


def test_restart_remembers_nothing(system, side):
    """After a restart the heartbeat is 0 again, the filter empty, the boot not accepted, the boot reason asked anew."""
    everest = side(heartbeat_s=0.02)
    system.replies["set_system_time"] = [b"true"]
    everest.accept_boot()
    update(system, everest, UNSIGNED)
    system.status("Downloading", 7)
    system.say("communication_check", b"true")
    everest.wait_for("Downloading", 7)
    system.wait_for_beats(3)
    everest.restart()
    assert everest.communication_fault
    beats = system.wait_for_beats(len(system.beats) + 3)
    assert beats.count(0) == 2
    assert everest.boot_reason() == "PowerUp"
    assert system.count("get_boot_reason") == 2
    system.status("Downloading", 7)
    heard_all(system, everest)
    assert [status.dropped for status in everest.arrived] == ["", "came before the CSMS accepted the boot"]
    everest.accept_boot()
    system.status("Downloaded", 7)
    heard_all(system, everest)
    assert system.count("allow_firmware_installation") == 0  # the unsigned update is forgotten


def test_ends_with_its_broker_and_begins_anew():
    """When the broker goes away EVerest ends, and so does every wait; restart() is the EVerest after it."""
    broker = EmbeddedBroker()
    broker.start()
    everest = EverestSide(MqttSettings("127.0.0.1", broker.port), heartbeat_s=0.02)
    everest.start()
    stopper = threading.Timer(0.05, broker.stop)
    stopper.start()
    with pytest.raises(EverestSideError, match=f"127.0.0.1:{broker.port}"):
        everest.wait_for("Installed")
    stopper.join()
    assert everest.ended
    for use in (everest.boot_reason, everest.allow_installation, everest.wait_for_service):
        with pytest.raises(EverestSideError, match=f"127.0.0.1:{broker.port}"):
            use()
    broker.start()
    everest.restart()
    assert everest.ended == ""
    everest.stop()
    broker.stop()


def test_start_without_a_broker_fails():
    """A broker that is not there is an error, and the side stays ended."""
    everest = EverestSide(MqttSettings("127.0.0.1", 1))
    assert everest.ended == NOT_STARTED
    with pytest.raises(EverestSideError, match=r"127\.0\.0\.1:1: "):
        everest.start()
    assert everest.ended


def test_start_does_not_wait_for_ever(port):
    """A broker that never answers is given up."""
    everest = EverestSide(MqttSettings("127.0.0.1", port))
    with pytest.raises(EverestSideError, match="no connection to the broker within 0 s"):
        everest.start(timeout_s=0)


def test_log_status_that_ocpp_16_cannot_take_ends_everest(system, side):
    """OCPP 1.6 falls over at AcceptedCanceled, and takes EVerest with it."""
    everest = side(ocpp="1.6")
    system.log_status("AcceptedCanceled", 7)
    with pytest.raises(EverestSideError, match="threw at log status AcceptedCanceled, request id 7"):
        everest.wait_for("Uploaded")
    system.status("Installed", 7)
    with pytest.raises(EverestSideError, match="threw"):
        everest.call("is_reset_allowed", "Soft")
    assert words(everest.arrived) == [("AcceptedCanceled", 7)]
    everest.stop()
    assert "threw" in everest.ended  # the first cause stays


def test_works_with_either_broker(broker):
    """Heartbeat, request, status and permission get through with QoS 2 and in order, on EVerest's own broker too."""
    with ScriptedSystem(broker.port) as system:
        system.replies["set_system_time"] = [b"true"]
        with EverestSide(MqttSettings(broker.host, broker.port), heartbeat_s=0.02) as everest:
            assert everest.accept_boot()
            update(system, everest)
            system.status("SignatureVerified", 7)
            assert system.next_raw("allow_firmware_installation") == b"true"
            assert system.wait_for_beats(5)[:5] == [0, 1, 2, 3, 4]
    commands = [command for command, *_ in system.heard]
    assert commands == ["get_boot_reason", "set_system_time", "update_firmware", "allow_firmware_installation"]
    assert {qos for *_, qos in system.heard} == {2}


def test_context_is_a_run(port, system):
    """The context starts and stops the run."""
    with EverestSide(MqttSettings("127.0.0.1", port), heartbeat_s=None) as everest:
        assert everest.ended == ""
    assert everest.ended == "EVerest's side was stopped"


@pytest.mark.parametrize("wrong", [{"module_id": "a/b"}, {"prefix": "#"}])
def test_topics_that_cannot_be_are_refused(wrong):
    """A module id or prefix that is none is told at once."""
    with pytest.raises(ValueError, match=r"a module id|an MQTT prefix"):
        EverestSide(MqttSettings(), **wrong)
