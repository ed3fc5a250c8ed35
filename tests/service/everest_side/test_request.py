"""`everest-system request`: what it sends, and when it has seen the end."""

import base64
from datetime import UTC, datetime

import pytest

from everest_system.everest_side import EverestSideError
from everest_system.everest_side.request import (
    COMMANDS,
    ONE_WAY,
    Options,
    Request,
    build,
    is_end,
    moment,
    perform,
    watch,
)
from everest_system.fsm.errors import RequestError
from everest_system.fsm.messages import FirmwareUpdateRequest, UploadLogsRequest

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
URL = "http://user:secret@example.com/fw.bin"


def payload(command, **options):
    return build(command, Options(**options), NOW).payload


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", "2026-11-22T08:00:00.000Z"),
        ("+30s", "2026-11-22T08:00:30.000Z"),
        ("+5m", "2026-11-22T08:05:00.000Z"),
        ("-2h", "2026-11-22T06:00:00.000Z"),
        ("+1d", "2026-11-23T08:00:00.000Z"),
        ("2026-11-22T09:30:00.5+01:00", "2026-11-22T08:30:00.500Z"),
    ],
)
def test_times(text, meant):
    """A time may be now, a distance, or RFC 3339."""
    assert moment(text, NOW) == meant


@pytest.mark.parametrize("text", ["", "tomorrow", "30s", "+30", "+s", "+1w", "+999999999d", "20261122", "+\u0663s"])
def test_what_is_no_time(text):
    """Anything else is refused with the forms that are allowed."""
    with pytest.raises(RequestError, match="is no time: now, "):
        moment(text, NOW)


def test_update_with_all_that_there_is(tmp_path):
    """Each option becomes the field of the specification."""
    (tmp_path / "cert.pem").write_text("PEM\n")
    (tmp_path / "sig").write_text("c2lnbmF0\ndXJl\n")
    request = build(
        "update-firmware",
        Options(
            location=URL,
            request_id=3,
            retries=2,
            retry_interval_s=5,
            retrieve_at="+30s",
            install_at="2026-11-22T09:00:00Z",
            certificate=tmp_path / "cert.pem",
            signature=tmp_path / "sig",
        ),
        NOW,
    )
    assert request == Request(
        "update_firmware",
        {
            "location": URL,
            "request_id": 3,
            "retries": 2,
            "retry_interval_s": 5,
            "retrieve_timestamp": "2026-11-22T08:00:30.000Z",
            "install_timestamp": "2026-11-22T09:00:00.000Z",
            "signing_certificate": "PEM\n",
            "signature": "c2lnbmF0\ndXJl\n",
        },
        "firmware",
        3,
        2,
        5,
    )
    FirmwareUpdateRequest.model_validate(request.payload)


def test_what_is_not_given_is_left_out():
    """A bare update has a location and an id made from the clock; its attempts are not known."""
    request = build("update-firmware", Options(location=URL), NOW)
    assert request.payload == {"location": URL, "request_id": int(NOW.timestamp() * 1000) % 2**31}
    assert (request.request_id, request.attempts, request.retry_interval_s) == (
        int(NOW.timestamp() * 1000) % 2**31,
        None,
        60,
    )


def test_logs_with_all_that_there_is():
    """Each option becomes the field of the specification."""
    sent = payload("upload-logs", location=URL, request_id=4, oldest="-1d", latest="now", type="SecurityLog", retries=1)
    assert sent == {
        "location": URL,
        "request_id": 4,
        "retries": 1,
        "oldest_timestamp": "2026-11-21T08:00:00.000Z",
        "latest_timestamp": "2026-11-22T08:00:00.000Z",
        "type": "SecurityLog",
    }
    UploadLogsRequest.model_validate(sent)


def test_logs_as_ocpp_16_asks_for_them():
    """With id -1 no id is sent, and the statuses carry -1."""
    request = build("upload-logs", Options(location=URL, request_id=-1), NOW)
    assert request.payload == {"location": URL}
    assert (request.kind, request.request_id) == ("log", -1)


@pytest.mark.parametrize("retry_interval_s", [-5, 0])
def test_interval_for_waiting_is_never_negative(retry_interval_s):
    """A negative interval is sent as it stands, and waited for as none."""
    request = build("update-firmware", Options(location=URL, retry_interval_s=retry_interval_s), NOW)
    assert request.payload["retry_interval_s"] == retry_interval_s
    assert request.retry_interval_s == 0


def test_a_binary_signature_becomes_base64(tmp_path):
    """A signature as openssl writes it is encoded on the way."""
    for content in (b"\x30\x45\x02\x20", b"0E=!"):
        (tmp_path / "sig").write_bytes(content)
        sent = payload("update-firmware", location=URL, signature=tmp_path / "sig")
        assert base64.b64decode(sent["signature"]) == content


@pytest.mark.parametrize(
    ("content", "fault"), [(b"\xff\xfe", "is no text"), (b"x" * 65537, "more than 65536"), (None, "No such file")]
)
def test_a_certificate_that_cannot_be_read(tmp_path, content, fault):
    """A file that is none is an error that names it."""
    if content is not None:
        (tmp_path / "cert.pem").write_bytes(content)
    with pytest.raises(RequestError, match=rf"cert\.pem.*{fault}"):
        payload("update-firmware", location=URL, certificate=tmp_path / "cert.pem")


@pytest.mark.parametrize("command", ["update-firmware", "upload-logs"])
def test_a_job_needs_a_location(command):
    """Without a location there is nothing to ask for."""
    with pytest.raises(RequestError, match="a location is needed"):
        payload(command)


def test_the_small_commands():
    """The other commands say what the specification has for them."""
    assert payload("is-reset-allowed") == "NotSpecified"
    assert payload("is-reset-allowed", type="hard") == "Hard"
    assert payload("reset", type="Soft", scheduled=True) == {"type": "Soft", "scheduled": True}
    assert payload("set-system-time") == "2026-11-22T08:00:00.000Z"
    assert payload("set-system-time", time="+1h") == "2026-11-22T09:00:00.000Z"
    assert payload("get-boot-reason") is None
    assert payload("allow-installation") is None
    assert set(COMMANDS) > ONE_WAY


def test_what_is_no_command_or_no_type_of_reset():
    """A wrong word is refused with those that are right."""
    with pytest.raises(RequestError, match="dance is none of update-firmware, allow-installation, upload-logs"):
        payload("dance")
    with pytest.raises(RequestError, match="'warm' is no type of reset: Soft, Hard, NotSpecified"):
        payload("reset", type="warm")


@pytest.mark.parametrize(
    "word",
    [
        *("Installed", "InvalidSignature", "InstallVerificationFailed", "InstallationFailed", "Uploaded"),
        *("BadMessage", "PermissionDenied", "NotSupportedOperation", "AcceptedCanceled"),
    ],
)
def test_ends(word):
    """Nothing comes after an end status."""
    assert is_end(word)


@pytest.mark.parametrize("word", ["Downloading", "Downloaded", "InstallRebooting", "DownloadPaused", "Uploading"])
def test_no_ends(word):
    """Something comes after every other status."""
    assert not is_end(word, failures=9, attempts=1)


@pytest.mark.parametrize("word", ["DownloadFailed", "UploadFailure"])
def test_failed_attempts_end_the_job_when_they_were_the_last(word):
    """A failure is the end when there are no attempts left; without their number nobody can tell."""
    assert is_end(word, failures=3, attempts=3)
    assert not is_end(word, failures=2, attempts=3)
    assert not is_end(word, failures=9)


def ask(system, everest, request):
    since = len(everest.statuses)
    system.replies["update_firmware"] = [b'"Accepted"']
    assert perform(everest, request) == "Accepted"
    return since


def watched(everest, request, since, grace_s=10.0):
    told = []
    last = watch(everest, request, told.append, since=since, grace_s=grace_s)
    assert told[-1] is last
    return [status.word for status in told]


def test_watches_to_the_end_state(system, side):
    """The statuses of this request, and only they, are told up to the end."""
    everest = side(ocpp=None)
    request = build("update-firmware", Options(location=URL, request_id=5, retries=2, retry_interval_s=0), NOW)
    since = ask(system, everest, request)
    system.status("Installed", 4)
    system.log_status("Uploaded", 5)
    words = ["Downloading", "DownloadFailed", "Downloading", "Downloaded", "Installing", "Installed"]
    for word in words:
        system.status(word, 5)
    assert watched(everest, request, since) == words


def test_watching_stops_with_the_last_attempt(system, side):
    """As many failures as attempts are the end at once."""
    everest = side(ocpp=None)
    request = build("update-firmware", Options(location=URL, request_id=5, retries=2), NOW)
    since = ask(system, everest, request)
    words = ["Downloading", "DownloadFailed", "Downloading", "DownloadFailed"]
    for word in words:
        system.status(word, 5)
    assert watched(everest, request, since) == words


def test_watching_stops_when_no_attempt_follows_a_failure(system, side):
    """A failure that nothing follows was the end, as when the server says 404."""
    everest = side(ocpp=None)
    request = build("update-firmware", Options(location=URL, request_id=5, retries=3, retry_interval_s=0), NOW)
    since = ask(system, everest, request)
    system.status("DownloadFailed", 5)
    assert watched(everest, request, since, grace_s=0.05) == ["DownloadFailed"]


def test_watching_ends_with_the_connection(everest):
    """A watch does not outlive the run."""
    everest.stop()
    with pytest.raises(EverestSideError, match="stopped"):
        watch(everest, build("upload-logs", Options(location=URL), NOW), print)


def test_one_way_commands_are_sent_without_waiting(system, everest):
    """A reset and a permission have no reply."""
    assert perform(everest, build("reset", Options(type="soft"), NOW)) is None
    assert system.next_raw("reset") == b'{"scheduled":false,"type":"Soft"}'
    assert perform(everest, build("allow-installation", Options(), NOW)) is None
    assert system.next_raw("allow_firmware_installation") == b"true"


def test_a_request_without_payload_has_none(system, everest):
    """get-boot-reason goes without a payload."""
    assert perform(everest, build("get-boot-reason", Options(), NOW)) == "PowerUp"
    assert "payload" not in system.next("get_boot_reason")
