"""What EVerest's own OCPP tests expect, in order (reference: the end of ocpp.md)."""

import pytest
from support.brokers import real_broker
from support.http_server import Reply
from support.stations import Station, words

THREE_TIMES = {"retries": 3, "retry_interval_s": 0}


def settled(station: Station) -> list[str]:
    """The states of the machines once nothing waits to be sent any more: no status can follow."""
    service = station.services[0]
    told = service.ask("status")["modules"]["system_api"]
    return [told["firmware"]["state"], told["logs"]["state"]]


@real_broker
@pytest.mark.parametrize(
    ("ocpp", "request_id", "log_type"), [("1.6", None, None), ("2.0.1", 1, "SecurityLog")], ids=["1.6", "2.0.1"]
)
def test_log_upload_refused(station, http, ocpp, request_id, log_type):
    """A log upload that the server refuses says Uploading, UploadFailure for each of three attempts, then no more."""
    http.plan("/logs.tar.gz", Reply(status=503))
    service, everest = station.both({"station": {"ocpp_version": ocpp}}, ocpp=ocpp)
    request = {"location": http.url("/logs.tar.gz"), **THREE_TIMES}
    if request_id is not None:
        request |= {"request_id": request_id, "type": log_type}
    reply = everest.call("upload_logs", request)
    assert reply.upload_logs_status == "Accepted"
    service.wait_for_state("logs", "UPLOAD_FAILURE")
    everest.wait_for(lambda _: len(words(everest)) >= 6)
    assert [(status.word, status.request_id, status.dropped) for status in everest.arrived] == [
        ("Uploading", request_id or -1, ""),
        ("UploadFailure", request_id or -1, ""),
    ] * 3
    assert everest.ended == ""
    assert settled(station)[1] == "UPLOAD_FAILURE"


@real_broker
@pytest.mark.parametrize("request_id", [-1, 1])
def test_update_refused(station, http, maker, request_id):
    """An update that the server refuses says Downloading, DownloadFailed for each of three attempts, then no more."""
    http.plan("/fw.bin", Reply(status=503))
    ocpp = "1.6" if request_id == -1 else "2.0.1"
    service, everest = station.both({"station": {"ocpp_version": ocpp}}, ocpp=ocpp)
    signed = {} if request_id == -1 else maker.signed()
    request = {"location": http.url("/fw.bin"), "request_id": request_id, **THREE_TIMES, **signed}
    assert everest.call("update_firmware", request) == "Accepted"
    service.wait_for_state("firmware", "DOWNLOAD_FAILED")
    everest.wait_for(lambda _: len(words(everest)) >= 6)
    assert [(status.word, status.request_id, status.dropped) for status in everest.arrived] == [
        ("Downloading", request_id, ""),
        ("DownloadFailed", request_id, ""),
    ] * 3
    assert settled(station)[0] == "DOWNLOAD_FAILED"


@real_broker
def test_unsigned_update(station, http):
    """An unsigned update says Downloading, Downloaded, and with the connectors away Installing, Installed."""
    _, everest = station.both({"station": {"ocpp_version": "1.6"}}, ocpp="1.6", permission_delay_s=None)
    assert everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": -1}) == "Accepted"
    everest.wait_for("Downloaded", -1)
    station.services[0].wait_for_state("firmware", "AWAITING_PERMISSION")
    assert words(everest) == ["Downloading", "Downloaded"]
    everest.allow_installation()
    everest.wait_for("Installed", -1)
    assert words(everest) == ["Downloading", "Downloaded", "Installing", "Installed"]


@real_broker
def test_signed_update(station, http, maker):
    """A signed update says SignatureVerified before the connectors go, and InstallRebooting before Installed."""
    slots = {"firmware": {"slots": {"activation": "reboot"}}}
    service, everest = station.both(slots, permission_delay_s=None)
    request = {"location": http.url("/fw.bin"), "request_id": 1, **maker.signed()}
    assert everest.call("update_firmware", request) == "Accepted"
    everest.wait_for("SignatureVerified", 1)
    service.wait_for_state("firmware", "AWAITING_PERMISSION")
    assert words(everest) == ["Downloading", "Downloaded", "SignatureVerified"]
    everest.allow_installation()
    everest.wait_for("InstallRebooting", 1)
    service.wait_for("the station starts anew")
    service.wait_for_state("firmware", "INSTALLED")
    assert "Installed" not in words(everest)  # the CSMS has not accepted this boot yet
    everest.restart()
    everest.accept_boot()
    everest.wait_for("Installed", 1)
    assert words(everest) == [
        "Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "Installed",
    ]  # fmt: skip
    assert not [status for status in everest.arrived if status.dropped]


@real_broker
def test_unsigned_where_signatures_are_required(station, http):
    """TC_L_18: neither certificate nor signature on a station that requires them is Rejected, without a status."""
    service, everest = station.both({"firmware": {"unsigned": "auto"}})
    assert everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1}) == "Rejected"
    assert everest.call("is_reset_allowed", "NotSpecified") is True  # all of that is behind us now
    assert (words(everest), http.requests, service.states("firmware")) == ([], [], [])


@real_broker
@pytest.mark.parametrize("ocpp", ["1.6", "2.0.1"])
def test_logs_uploaded(station, http, ocpp):
    """GetDiagnostics and GetLog: Uploading, Uploaded; with one attempt and a bad host Uploading, UploadFailure."""
    _, everest = station.both({"station": {"ocpp_version": ocpp}}, ocpp=ocpp)
    number = {} if ocpp == "1.6" else {"request_id": 7, "type": "DiagnosticsLog"}
    reply = everest.call("upload_logs", {"location": http.url("/in/"), **number})
    assert (reply.upload_logs_status, reply.file_name[-7:]) == ("Accepted", ".tar.gz")
    everest.wait_for("Uploaded")
    assert list(http.uploads) == [f"/in/{reply.file_name}"]
    everest.call("upload_logs", {"location": "http://no-such-host.invalid/logs", "retries": 1, **number})
    everest.wait_for("UploadFailure")
    assert words(everest, number.get("request_id", -1)) == ["Uploading", "Uploaded", "Uploading", "UploadFailure"]
