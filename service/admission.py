"""What is looked at before a request reaches a machine: a refused request changes nothing.

Updates: the address and its scheme; the certificate where there is one, whose problems belong into the reply; a
signature without a certificate, or neither of them where they are required (TC_L_18). Uploads: the address, and
whether any log of the type exists. Which problems lead to which reply is `design.md`'s table of settled questions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from everest_system.fsm.errors import RequestError
from everest_system.fsm.messages import FirmwareUpdateRequest, UploadLogsRequest
from everest_system.io.logs.archive_name import archive_name
from everest_system.io.logs.sources import LogSource, any_file
from everest_system.io.transfers.url import location
from everest_system.io.trust.verification_error import CertificateError


class RefusedError(RequestError):
    """The request is refused; `response` is the word of the reply."""

    def __init__(self, reason: str, response: str = "Rejected") -> None:
        super().__init__(reason)
        self.response = response


_CONNECTORS = {
    "disable_connectors_during_install=false": False,
    "disable_connectors_during_install=true": True,
}


def disable_connectors(location: str) -> bool | None:
    """Whether EVerest is to take the connectors out of service for an update, as the location's fragment says.

    No server ever sees a fragment. One that is not exactly these words says nothing, as before there was such a thing:
    None.
    """
    return _CONNECTORS.get(location.partition("#")[2])


CheckCertificate = Callable[[str, datetime], object]


@dataclass(frozen=True, slots=True)
class Admission:
    """The configured rules of admission.

    Attributes:
        firmware_schemes: of addresses that firmware may come from.
        unsigned: whether a request with neither certificate nor signature is taken.
        check_certificate: raises CertificateError for one that may not sign firmware.
        logs_schemes: of addresses that logs may go to.
        sources: where the logs of each type come from.
    """

    firmware_schemes: tuple[str, ...]
    unsigned: bool
    check_certificate: CheckCertificate
    logs_schemes: tuple[str, ...]
    sources: Mapping[str, LogSource]

    def update(self, request: FirmwareUpdateRequest, now: datetime) -> FirmwareUpdateRequest:
        """The request, its address as transfers need it.

        Raises:
            RefusedError: it is not taken; with InvalidCertificate and RevokedCertificate where that is why.
        """
        address = self._address(request.location, self.firmware_schemes)
        if request.signing_certificate is None:
            if request.signature is not None:
                raise RefusedError("a signature without the certificate to verify it")
            if not self.unsigned:
                raise RefusedError("neither certificate nor signature, and firmware.unsigned does not accept that")
        else:
            try:
                self.check_certificate(request.signing_certificate, now)
            except CertificateError as error:
                raise RefusedError(str(error), error.response) from error
        return request.model_copy(update={"location": address})

    def upload(self, request: UploadLogsRequest, station: str, now: datetime) -> tuple[UploadLogsRequest, str]:
        """The request, its address as transfers need it, and the archive's name (N01.FR.01).

        Raises:
            RefusedError: it is not taken.
        """
        address = self._address(request.location, self.logs_schemes)
        source = self.sources.get(request.log_type)
        if source is None:
            raise RefusedError(f"no log type {request.log_type!r}: logs.sources has {', '.join(sorted(self.sources))}")
        if not source.has_something and not any_file(source):
            raise RefusedError(f"there is no file of log type {request.log_type!r}")
        name = archive_name(station, request.log_type, request.oldest_timestamp, request.latest_timestamp, now)
        return request.model_copy(update={"location": address}), name

    @staticmethod
    def _address(text: str, schemes: tuple[str, ...]) -> str:
        try:
            return location(text, schemes)
        except RequestError as error:
            raise RefusedError(str(error)) from error
