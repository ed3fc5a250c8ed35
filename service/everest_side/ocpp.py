"""What EVerest's OCPP modules make of statuses: pass them on, drop them, permit the installation, or fall over.

OCPP 2.x drops a status that only repeats the last one of its kind, and every status before the CSMS has accepted the
boot. The filter remembers those all the same: what came too early is lost for good when it comes again. It permits an
installation once, when the trigger status passes: SignatureVerified if the request had a certificate or a signature,
else Downloaded. A request from before EVerest's start it does not know, and takes for a signed one.

OCPP 1.6 has neither filter nor gate. After the first trigger it permits again with each later status, those of the
next update included. With request id -1 it knows the words of its own older messages only, and some log statuses end
EVerest.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from everest_system.everest_side.status import Kind, Report
from everest_system.fsm.messages import NO_REQUEST_ID

OcppVersion: TypeAlias = Literal["2.0.1", "1.6"]

_OLD_FIRMWARE_WORDS: Final = frozenset(
    {"Downloading", "Downloaded", "DownloadFailed", "Installing", "Installed", "InstallationFailed"}
)
_OLD_LOG_WORDS: Final = frozenset({"Uploading", "Uploaded", "UploadFailure"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a status.

    Attributes:
        dropped: why the CSMS does not hear of it; "" when it does.
        permits: the installation is allowed because of it.
        ends: why EVerest ends because of it; "" when it does not.
    """

    dropped: str = ""
    permits: bool = False
    ends: str = ""


class OcppModule:
    """EVerest's OCPP module during one run of EVerest.

    Args:
        version: 2.0.1 stands for all of 2.x; None: EVerest runs without OCPP, every status just passes.
    """

    def __init__(self, version: OcppVersion | None) -> None:
        self.registered = False
        self._version = version
        self._signed: dict[int, bool] = {}
        self._last: dict[Kind, tuple[str, int]] = {}
        self._triggered = False

    def accept_boot(self) -> None:
        """Take note that the CSMS has accepted the BootNotification."""
        self.registered = True

    def update_accepted(self, request_id: int, *, signed: bool) -> None:
        """Take note of an update that was accepted; `signed`: the request had a certificate or a signature."""
        self._signed[request_id] = signed

    def take(self, report: Report) -> Verdict:
        """Judge the next status."""
        match self._version:
            case None:
                return Verdict()
            case "1.6":
                return self._take_16(report)
            case _:
                return self._take_2x(report)

    def _take_2x(self, report: Report) -> Verdict:
        known, self._last[report.kind] = self._last.get(report.kind), (report.word, report.request_id)
        if known == (report.word, report.request_id):
            return Verdict(dropped="repeats the last one")
        if not self.registered:
            return Verdict(dropped="came before the CSMS accepted the boot")
        return Verdict(permits=self._is_trigger(report) and report.disable_connectors)

    def _take_16(self, report: Report) -> Verdict:
        old = report.request_id == NO_REQUEST_ID
        if report.kind == "log":
            if report.word == "AcceptedCanceled" or (old and report.word not in _OLD_LOG_WORDS):
                return Verdict(
                    dropped="unknown to OCPP 1.6",
                    ends=f"the OCPP 1.6 module threw at log status {report.word}, request id {report.request_id}",
                )
            return Verdict()
        if old and report.word not in _OLD_FIRMWARE_WORDS:
            return Verdict(dropped="no word of an OCPP 1.6 update without signature")
        if self._is_trigger(report):
            self._triggered = report.disable_connectors
        return Verdict(permits=self._triggered)

    def _is_trigger(self, report: Report) -> bool:
        signed = self._signed.get(report.request_id, True)
        return report.kind == "firmware" and report.word == ("SignatureVerified" if signed else "Downloaded")
