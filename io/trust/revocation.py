"""Certificate revocation lists: is a certificate among those that its issuer has taken back?

A list counts only if the issuer's own key signed it. One that counts and names the certificate is final, also when it
is out of date: nobody can be un-revoked by letting a list expire. Where no current list speaks of a certificate, its
revocation is unknown; that is a warning to the caller, not a refusal: a station without a fresh list must still get
the update that brings it one. Delta and indirect lists, and critical extensions that are not known, are not read
(RFC 5280, 5.2: such a list must not be used).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from everest_system.io.trust.certificates import Certificate, guarded, printable
from everest_system.io.trust.verification_error import CertificateError


@dataclass(frozen=True)
class RevocationList:
    """One CRL, read completely.

    Attributes:
        source: where it came from, for messages.
        this_update, next_update: the time it speaks for, UTC; without a next update it has no end.
        fault: why it must not be used, if so.
    """

    source: str
    issuer: x509.Name
    this_update: datetime
    next_update: datetime | None
    fault: str | None
    parsed: x509.CertificateRevocationList

    def refused_because(self, issuer: Certificate) -> str | None:
        """Return why the list says nothing about what `issuer` issued, or None if it does."""
        if self.fault:
            return self.fault
        usage = issuer.extension(x509.KeyUsage)
        if usage and not usage.crl_sign:
            return "its issuer's key usage does not include cRLSign"
        try:
            genuine = self.parsed.is_signature_valid(issuer.key)  # type: ignore[arg-type]  # other keys: TypeError
        except (UnsupportedAlgorithm, ValueError, TypeError):
            genuine = False
        return None if genuine else "its issuer did not sign it"

    def current(self, now: datetime) -> bool:
        """Tell whether the list speaks for this time."""
        return self.this_update <= now and (self.next_update is None or now <= self.next_update)

    def names(self, certificate: Certificate) -> bool:
        """Tell whether the certificate's serial number is on the list.

        Raises:
            CertificateError: the entries cannot be read.
        """
        with guarded(f"{self.source}: a CRL cannot be read"):
            return self.parsed.get_revoked_certificate_by_serial_number(certificate.serial) is not None


def read_revocation_list(der: bytes, source: str) -> RevocationList:
    """Take a CRL (DER) apart.

    Raises:
        CertificateError: it is none.
    """
    with guarded("a CRL cannot be read"):
        parsed = x509.load_der_x509_crl(der)
        return RevocationList(
            source=source,
            issuer=parsed.issuer,
            this_update=parsed.last_update_utc,
            next_update=parsed.next_update_utc,
            fault=_fault(parsed.extensions),
            parsed=parsed,
        )


def check_revocation(
    certificate: Certificate, issuers: Iterable[Certificate], lists: Sequence[RevocationList], now: datetime
) -> str | None:
    """Look a certificate up in the lists of its issuers.

    Returns:
        None if a current list speaks of it and does not name it; else a line that says why its revocation is unknown.

    Raises:
        CertificateError: RevokedCertificate: a list of an issuer names it.
    """
    current = False
    reasons = []
    issuers = list(issuers)
    for crl in lists:
        if crl.issuer != certificate.issuer:
            continue
        refusals = [crl.refused_because(issuer) for issuer in issuers]
        if None not in refusals:
            reasons.append(f"{crl.source}: {refusals[0] if refusals else 'its issuer is not known'}")
        elif crl.names(certificate):
            raise CertificateError(f"{certificate.name}: revoked ({crl.source})", "RevokedCertificate")
        elif crl.current(now):
            current = True
        else:
            reasons.append(f"{crl.source}: out of date")
    if current:
        return None
    why = "; ".join(reasons[:3]) or f"no CRL of {printable(certificate.issuer)}"
    return f"{certificate.name}: revocation is unknown ({why})"


def _fault(extensions: x509.Extensions) -> str | None:
    for extension in extensions:
        if isinstance(extension.value, x509.DeltaCRLIndicator):
            return "delta CRLs are not supported"
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            if extension.value.indirect_crl:
                return "indirect CRLs are not supported"
        elif extension.critical:
            return f"the critical extension {extension.oid.dotted_string} is not supported"
    return None
