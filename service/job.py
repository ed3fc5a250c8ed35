"""One piece of work: an order, done with the edges, that ends in one event."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from everest_system.fsm.artifact import Part
from everest_system.fsm.events import Event
from everest_system.fsm.firmware.events import (
    ArtifactUnfit,
    Booted,
    Confirmed,
    DownloadAttemptFailed,
    DownloadFinished,
    DownloadInterrupted,
    DownloadRefused,
    FirmwareUnhealthy,
    InstallFinished,
    NothingToVerify,
    OldFirmwareFound,
    PartKept,
    RolledBack,
    SignatureInvalid,
    SignatureVerified,
)
from everest_system.fsm.logs.events import LogsCollected, UploadAttemptFailed, UploadFinished, UploadRefused
from everest_system.fsm.messages import FirmwareUpdateRequest
from everest_system.fsm.orders import (
    ActivateByReboot,
    ActivateByRestart,
    CheckArtifact,
    CollectLogs,
    ConfirmInstall,
    RebootMachine,
    RestartEverest,
    RollBack,
    StartDownload,
    StartInstall,
    StartUpload,
    WorkOrder,
)
from everest_system.fsm.platform.events import EverestRestartDone
from everest_system.io.installers.port import BadSignatureError, UnfitError
from everest_system.io.logs.collect_request import CollectRequest
from everest_system.io.logs.collector import collect_apart
from everest_system.io.logs.window import LogWindow
from everest_system.io.platforms.health import health_fault
from everest_system.io.platforms.port import Reboot
from everest_system.io.transfers.transfer import Fault, TransferError
from everest_system.io.transfers.url import upload_target
from everest_system.io.trust.verification_error import CertificateError, SignatureError
from everest_system.module import Key
from everest_system.ports import BootedInPlace, WorkReport
from everest_system.progress import Progress
from everest_system.self_report import self_report, versions
from everest_system.tools import Tools

UPLOAD_BEGUN = ".begun"  # beside the archive: something of it is on the server, and can be gone on from
UPLOAD_TIMEOUT_S = 24 * 3600  # an attempt: a server that takes or says a byte before each stall would hold it for ever


@dataclass(frozen=True, slots=True)
class Job:
    """The order of a machine, and what it takes to carry it out.

    Attributes:
        post: takes what is to be said before the end.
        canceled: ends the work soon after it is set.
    """

    tools: Tools
    key: Key
    progress: Progress
    post: Callable[[object], None]
    canceled: threading.Event

    def run(self, order: WorkOrder) -> Event | None:
        """Do what `order` says, and return what came of it; None if nobody will be there to hear.

        Raises:
            CanceledError: it was canceled.
            WorldError: it failed.
        """
        match order:
            case StartDownload():
                return self._download(order)
            case CheckArtifact():
                return self._check(order)
            case StartInstall():
                return self._install(order)
            case ActivateByReboot() | RebootMachine():
                self._reboot()
                return None
            case ActivateByRestart():
                self.tools.platform.restart(canceled=self.canceled)
                return Booted(order.work)
            case RestartEverest():
                self.tools.platform.restart(canceled=self.canceled)
                return EverestRestartDone(order.work)
            case ConfirmInstall():
                return self._confirm(order)
            case RollBack():
                return RolledBack(order.work, str(self._installer.roll_back(order.target)))
            case CollectLogs():
                return self._collect(order)
            case StartUpload():
                return self._upload(order)
            case _:
                raise AssertionError(f"an order without a way to do it: {order!r}")

    @property
    def _module_id(self) -> str:
        return self.key[0]

    @property
    def _installer(self) -> Any:
        return self.tools.installers[self._module_id]

    # --- firmware ---

    def _download(self, order: StartDownload) -> Event:
        from everest_system.io.transfers.download import download  # loads libcurl: nothing for an idle station

        firmware = self.tools.settings.firmware

        def keep(part: Part) -> None:
            self.post(WorkReport(*self.key, PartKept(order.work, part)))

        try:
            artifact = download(
                order.request.location,
                self.tools.artifact(self._module_id, order.job),
                order.part,
                settings=self.tools.downloads,
                schemes=firmware.schemes,
                max_size_bytes=firmware.max_size_bytes,
                canceled=self.canceled,
                on_part=keep,
                on_progress=self.progress.tell,
            )
        except TransferError as error:
            match error.fault:
                case Fault.INTERRUPTED:
                    return DownloadInterrupted(order.work, str(error))
                case Fault.FAILED:
                    return DownloadAttemptFailed(order.work, str(error), error.retry_after_s)
                case Fault.REFUSED:
                    return DownloadRefused(order.work, str(error))
        # Of a signed file nothing is looked at before its signature holds.
        says = None if _is_signed(order.request) else self._disable_connectors(order.job)
        return DownloadFinished(order.work, artifact, says)

    def _check(self, order: CheckArtifact) -> Event:
        request, is_signed = order.request, _is_signed(order.request)
        try:
            if is_signed:
                self._verify(order)
            facts = self.tools.facts(self._module_id, order.job, request, order.artifact)
            target = self._installer.check(facts, canceled=self.canceled)
        except (CertificateError, SignatureError, BadSignatureError) as error:
            return SignatureInvalid(order.work, str(error))
        except UnfitError as error:
            return ArtifactUnfit(order.work, str(error))
        if is_signed:
            return SignatureVerified(order.work, target, self._disable_connectors(order.job))
        return NothingToVerify(order.work, target)

    def _disable_connectors(self, job: int) -> bool | None:
        from everest_system.io.installers.connectors import disable_connectors  # unpacks: nothing for an idle station

        return disable_connectors(self.tools.artifact(self._module_id, job))

    def _verify(self, order: CheckArtifact) -> None:
        """The signature over the whole file, by its digest (L01.FR.04, L01.FR.12)."""
        from everest_system.io.trust.signature import verify  # loads cryptography: nothing for an idle station

        request = order.request
        if request.signing_certificate is None or request.signature is None:
            raise SignatureError("the request has a certificate but no signature")
        certificate = self.tools.certificates.check(request.signing_certificate, datetime.now(UTC))
        digest = bytes.fromhex(order.artifact.sha256)
        scheme = verify(certificate, request.signature, digest, self.tools.settings.firmware.signature_schemes)
        self.progress.log.info("signature verified", scheme=str(scheme))

    def _install(self, order: StartInstall) -> Event:
        facts = self.tools.facts(self._module_id, order.job, order.request, order.artifact)
        install = self._installer.resume if order.again else self._installer.install
        try:
            install(
                facts,
                order.target,
                canceled=self.canceled,
                on_progress=lambda percent: self.progress.tell(percent, 100),
            )
            return InstallFinished(order.work, str(self._installer.activate(facts, order.target)))
        except (UnfitError, BadSignatureError) as error:
            return ArtifactUnfit(order.work, str(error))

    def _confirm(self, order: ConfirmInstall) -> Event:
        if not self._installer.confirm(order.target):
            return OldFirmwareFound(order.work, "after the boot the old firmware is the active one")
        platform = self.tools.settings.platform
        fault = health_fault(platform.health_check, platform.health_check_timeout_s, self.canceled)
        if fault:
            self.progress.log.warning("health check failed", reason=fault)
            return FirmwareUnhealthy(order.work, f"the new firmware fails the health check: {fault}")
        self._installer.mark_good(order.target)
        return Confirmed(order.work)

    def _reboot(self) -> None:
        if self.tools.platform.reboot(canceled=self.canceled) is Reboot.IN_PLACE:
            self.post(BootedInPlace())

    # --- logs ---

    def _collect(self, order: CollectLogs) -> Event:
        request = order.request
        source = self.tools.sources[request.log_type]
        window = LogWindow(request.oldest_timestamp, request.latest_timestamp)
        wanted = CollectRequest(
            source=source,
            window=window,
            spool=self.tools.spool(self._module_id, order.job),
            name=order.file_name,
            facts={
                "station": self._module_id,
                "log_type": request.log_type,
                "request_id": request.status_request_id,
                "versions": versions(),
            },
            max_size_bytes=self.tools.settings.logs.max_size_bytes,
            masks=self.tools.masks,
            documents=self_report(self.tools.settings, window) if source.service else {},
        )
        archive = collect_apart(wanted, canceled=self.canceled, on_progress=self.progress.tell)
        return LogsCollected(order.work, archive.length)

    def _upload(self, order: StartUpload) -> Event:
        from everest_system.io.transfers.upload import upload  # loads libcurl: nothing for an idle station

        logs = self.tools.settings.logs
        spool = self.tools.spool(self._module_id, order.job)
        try:
            upload(
                spool / order.file_name,
                upload_target(order.request.location, order.file_name),
                settings=self.tools.uploads,
                schemes=logs.schemes,
                method=logs.upload_method,
                field=logs.upload_field,
                record=spool / UPLOAD_BEGUN,
                canceled=self.canceled,
                on_progress=self.progress.tell,
                attempt_timeout_s=UPLOAD_TIMEOUT_S,
            )
        except TransferError as error:
            if error.fault is Fault.REFUSED:
                return UploadRefused(order.work, str(error), error.log_status)
            return UploadAttemptFailed(order.work, str(error), error.log_status, error.retry_after_s)
        return UploadFinished(order.work)


def _is_signed(request: FirmwareUpdateRequest) -> bool:
    return request.signing_certificate is not None or request.signature is not None
