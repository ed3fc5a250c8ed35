"""What servers answer, in the words that the CSMS hears (N01.FR.10, L01.FR.30)."""

import pytest
from support.virtual import REQUEST, UPLOAD, virtual, words


@pytest.mark.parametrize(
    ("status", "heard"),
    [
        ("301", ["Uploading", "UploadFailure"]),
        ("400", ["Uploading", "BadMessage"]),
        ("401", ["Uploading", "PermissionDenied"]),
        ("403", ["Uploading", "PermissionDenied"]),
        ("404", ["Uploading", "UploadFailure"]),
        ("405", ["Uploading", "NotSupportedOperation"]),
        ("407", ["Uploading", "PermissionDenied"]),
        ("408", ["Uploading", "UploadFailure", "Uploading", "UploadFailure"]),
        ("422", ["Uploading", "BadMessage"]),
        ("429", ["Uploading", "UploadFailure", "Uploading", "UploadFailure"]),
        ("500", ["Uploading", "UploadFailure", "Uploading", "UploadFailure"]),
        ("501", ["Uploading", "UploadFailure", "Uploading", "NotSupportedOperation"]),
        ("503", ["Uploading", "UploadFailure", "Uploading", "UploadFailure"]),
        ("unreachable", ["Uploading", "UploadFailure", "Uploading", "UploadFailure"]),
    ],
)
@pytest.mark.parametrize("ocpp", ["2.0.1", "1.6", "1.6 without id"])
def test_log_upload(status: str, heard: list[str], ocpp: str) -> None:
    """A failed upload ends with the most precise word that this OCPP bears, and never ends EVerest."""
    version, _, without_id = ocpp.partition(" ")
    with virtual({"upload": [status]}, {"ocpp": version}, station={"ocpp_version": version}) as simulation:
        request = {"location": UPLOAD["location"]} if without_id else UPLOAD
        simulation.everest().ask("upload_logs", {**request, "retries": 2, "retry_interval_s": 1})
        simulation.run()
        ends = "UploadFailure" if without_id else heard[-1]
        assert words(simulation, "log", -1 if without_id else 1) == [*heard[:-1], ends]
        assert simulation.everest().runs == 1
        assert not simulation.world.files


@pytest.mark.parametrize("status", ["400", "401", "403", "404", "405", "410", "501"])
def test_download_refused(status: str) -> None:
    """A 4xx ends the update at once; a 5xx, however final it sounds, is tried again."""
    with virtual({"download": [status]}, firmware={"unsigned": "accept"}) as simulation:
        simulation.everest().ask("update_firmware", {**REQUEST, "retries": 2, "retry_interval_s": 1})
        simulation.run()
        once = ["Downloading", "DownloadFailed"]
        assert words(simulation) == (once * 2 if status == "501" else once)


@pytest.mark.parametrize("status", ["408", "429", "500", "503", "unreachable"])
def test_download_retried(status: str) -> None:
    """The network, 5xx, 408 and 429 are tried again, as often as the request says."""
    with virtual({"download": [status]}, firmware={"unsigned": "accept"}) as simulation:
        simulation.everest().ask("update_firmware", {**REQUEST, "retries": 4, "retry_interval_s": 1})
        simulation.run()
        assert words(simulation) == ["Downloading", "DownloadFailed"] * 4


def test_spool_full() -> None:
    """An archive that cannot be made is an UploadFailure, without Uploading before it."""
    with virtual({"collect": "fails"}) as simulation:
        simulation.everest().ask("upload_logs", UPLOAD)
        simulation.run()
        assert words(simulation, "log") == ["UploadFailure"]


def test_upload_retry_keeps_archive() -> None:
    """A retry uploads the archive that exists; it is not collected again."""
    with virtual({"upload": [{"breaks_at_mb": 2}, "503", "ok"]}) as simulation:
        simulation.everest().ask("upload_logs", {**UPLOAD, "retry_interval_s": 1})
        simulation.run()
        life = simulation.life
        assert life is not None
        orders = [type(order).__name__ for _, machine, order in life.workshop.log if machine == "logs"]
        assert orders == ["CollectLogs", "StartUpload", "StartUpload", "StartUpload", "RemoveArchive"]
        assert len(simulation.world.uploaded) == 1
