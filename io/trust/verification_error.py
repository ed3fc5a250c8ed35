"""Why a firmware is not trusted: its certificate, our own trust files, or its signature.

The errors stand apart from the checks that raise them, so that whoever handles them need not load `cryptography`.
"""

from typing import Literal

from everest_system.fsm.errors import WorldError

CertificateResponse = Literal["InvalidCertificate", "RevokedCertificate"]


class CertificateError(WorldError):
    """The signing certificate cannot be trusted.

    Attributes:
        response: the word of the `update_firmware` reply that says so.
    """

    def __init__(self, message: str, response: CertificateResponse = "InvalidCertificate") -> None:
        super().__init__(message)
        self.response: CertificateResponse = response


class TrustError(CertificateError):
    """A trust anchor or CRL file of ours is missing or broken; nothing can be vouched for until it is mended."""


class SignatureError(WorldError):
    """The signature is not a valid one of this file by this certificate in an allowed scheme."""
