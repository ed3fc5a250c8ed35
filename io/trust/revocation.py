"""Certificate revocation lists: is a certificate among those that its issuer has taken back?

A list counts only if the issuer's own key signed it. One that counts and names the certificate is final, also when it
is out of date: nobody can be un-revoked by letting a list expire. Where no current list speaks of a certificate, its
revocation is unknown, and the caller decides what that means. Delta and indirect lists, and critical extensions that
are not known, are not read (RFC 5280, 5.2: such a list must not be used); a list made for some certificates or some
reasons only revokes, but reassures nobody beyond them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from everest_system.io.trust.certificates import Certificate, guarded, printable
from everest_system.io.trust.known_time import KnownTime
from everest_system.io.trust.verification_error import CertificateError


@dataclass(frozen=True)
class RevocationList:
    """One CRL, read completely.

    Attributes:
        source: where it came from, for messages.
        this_update, next_update: the time it speaks for, UTC; without a next update it has no end.
        scope: the certificates that it is for, None for all of its issuer's.
        fault: why it must not be used, if so.
    """

    source: str
    issuer: x509.Name
    this_update: datetime
    next_update: datetime | None
    scope: x509.IssuingDistributionPoint | None
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

    def silent_because(self, certificate: Certificate, time: KnownTime) -> str | None:
        """Return why it means nothing that the list does not name a certificate of its issuer, or None if it does."""
        if time.surely_before(self.this_update):
            return "not valid yet"
        if self.next_update is not None and time.surely_after(self.next_update):
            return "out of date"
        if self.scope is not None and not _covers(self.scope, certificate):
            return "made for other certificates, or for some reasons only"
        return None

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
            scope=_scope(parsed.extensions),
            fault=_fault(parsed.extensions),
            parsed=parsed,
        )


def check_revocation(
    certificate: Certificate, issuers: Iterable[Certificate], lists: Sequence[RevocationList], time: KnownTime
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
        elif silence := crl.silent_because(certificate, time):
            reasons.append(f"{crl.source}: {silence}")
        else:
            current = True
    if current:
        return None
    why = "; ".join(reasons[:3]) or f"no CRL of {printable(certificate.issuer)}"
    return f"{certificate.name}: revocation is unknown ({why})"


def _scope(extensions: x509.Extensions) -> x509.IssuingDistributionPoint | None:
    points = [e.value for e in extensions if isinstance(e.value, x509.IssuingDistributionPoint)]
    return points[0] if points else None


def _covers(scope: x509.IssuingDistributionPoint, certificate: Certificate) -> bool:
    if scope.only_some_reasons or scope.only_contains_attribute_certs or scope.relative_name:
        return False
    constraints = certificate.extension(x509.BasicConstraints)
    if scope.only_contains_user_certs if constraints and constraints.ca else scope.only_contains_ca_certs:
        return False
    if scope.full_name is None:
        return True
    points = certificate.extension(x509.CRLDistributionPoints) or ()  # RFC 5280, 6.3.3 (b)(2): one name in common
    return any(name in scope.full_name for point in points for name in point.full_name or ())


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
