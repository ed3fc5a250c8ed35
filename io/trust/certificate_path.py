"""The path from the signing certificate up to a trust anchor, and the rules that every certificate on it must obey.

`cryptography` brings a verifier of its own, but it is made for TLS: it demands a subject alternative name and an
extended key usage of the leaf, which OCPP does not, and knows no CRLs. So the path is built here, by issuer name and
verified signature, and judged by `RULES`, one after the other. They follow RFC 5280, section 6.1, without policies and
name constraints: those are refused where a certificate insists on them. The work is bounded, whatever the
certificates say.

    for path in Issuers(anchors, others).paths(signer):     # signing certificate first, anchor last
        judge(path, time, RULES)                            # CertificateError: this path will not do
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from everest_system.io.trust.certificates import Certificate, printable
from everest_system.io.trust.known_time import KnownTime
from everest_system.io.trust.verification_error import CertificateError

MAX_SIGNATURE_CHECKS = 64
"""Certificate signatures verified for one request: bounds the work when many certificates carry the same name."""

MAX_STEPS = 256
"""Partial paths looked at for one request: certificates that issue each other in circles make very many."""

MAX_LENGTH = 10
"""Certificates on a path, anchor included."""

_UNDERSTOOD = {
    x509.BasicConstraints.oid,
    x509.KeyUsage.oid,
    x509.ExtendedKeyUsage.oid,
    x509.SubjectAlternativeName.oid,  # nobody is looked up by name here
    x509.CertificatePolicies.oid,  # every policy is accepted (RFC 5280, 6.1.1: any-policy)
    x509.AuthorityKeyIdentifier.oid,
    x509.SubjectKeyIdentifier.oid,
}
_STRONG_DIGESTS = {"", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"}


@dataclass(frozen=True)
class Place:
    """A certificate and where it stands on its path.

    Attributes:
        signer: it is the one that signed the firmware.
        anchor: it ends the path: we trust it because it is configured.
        below: intermediates between it and the signer, without the self-issued ones.
    """

    certificate: Certificate
    signer: bool
    anchor: bool
    below: int


Rule = Callable[[Place, KnownTime], str | None]
"""Says what is wrong with a certificate in its place at that time, or None."""


def _valid_now(place: Place, time: KnownTime) -> str | None:
    if time.surely_before(place.certificate.not_before):
        return f"not valid before {place.certificate.not_before:%Y-%m-%dT%H:%M:%SZ}"
    if time.surely_after(place.certificate.not_after):
        return f"expired on {place.certificate.not_after:%Y-%m-%dT%H:%M:%SZ}"
    return None


def _strong_key(place: Place, _: KnownTime) -> str | None:
    match place.certificate.key:
        case rsa.RSAPublicKey(key_size=size) if not 2048 <= size <= 8192:
            return f"RSA key of {size} bits; 2048 to 8192 are allowed"
        case ec.EllipticCurvePublicKey(key_size=size) if size < 224:
            return f"EC key of {size} bits; at least 224 are needed"
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey() | ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return None
    return "this kind of key is not trusted"


def _signs_firmware(place: Place, _: KnownTime) -> str | None:
    if place.signer and not isinstance(place.certificate.key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return "this kind of key signs no firmware; OCPP knows RSA and ECDSA"
    return None


def _strong_digest(place: Place, _: KnownTime) -> str | None:
    if not place.anchor and place.certificate.digest not in _STRONG_DIGESTS:
        return f"issued with a weak or unknown digest ({place.certificate.digest or 'unknown'})"
    return None


def _nothing_ignored(place: Place, _: KnownTime) -> str | None:
    for extension in place.certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            return f"the critical extension {extension.oid.dotted_string} is not supported"
    return None


def _may_sign_files(place: Place, _: KnownTime) -> str | None:
    if not place.signer or place.anchor:  # an anchor that signs by itself was named by the integrator
        return None
    usage = place.certificate.extension(x509.KeyUsage)
    if usage and not (usage.digital_signature or usage.content_commitment):
        return "its key usage includes neither digitalSignature nor nonRepudiation"
    purposes = place.certificate.extension(x509.ExtendedKeyUsage)
    if purposes and not {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & {*purposes}:
        return "its extended key usage does not include codeSigning"
    return None


def _may_issue(place: Place, _: KnownTime) -> str | None:
    if place.signer:
        return None
    constraints = place.certificate.extension(x509.BasicConstraints)
    if constraints is None and place.anchor and place.certificate.version is x509.Version.v1:
        return None
    if constraints is None or not constraints.ca:
        return "it issued a certificate, and is no CA"
    usage = place.certificate.extension(x509.KeyUsage)
    if usage and not usage.key_cert_sign:
        return "it issued a certificate, and its key usage does not include keyCertSign"
    if constraints.path_length is not None and place.below > constraints.path_length:
        return f"{place.below} intermediates below it; its path length allows {constraints.path_length}"
    return None


RULES: Sequence[Rule] = (
    _valid_now,  # RFC 5280, 6.1.3 (a)(2); of the anchor too, as OpenSSL and so EVerest has it
    _strong_key,  # A00.FR.501 to .503: 112 bits of security, so RSA 2048 and EC 224; the upper end bounds our work
    _signs_firmware,  # L01.FR.12: RSA-PSS or ECDSA
    _strong_digest,  # A00.FR.504, what BSI recommends: SHA-2 and SHA-3 from 256 bits; an anchor's own is not looked at
    _nothing_ignored,  # RFC 5280, 4.2: a critical extension that is not processed must be refused
    _may_sign_files,  # A00.FR.512 says SHOULD: no key usage will do, a wrong one will not (RFC 5280, 4.2.1.3 and .12)
    _may_issue,  # RFC 5280, 6.1.4 (k) to (n); a version 1 anchor has no way to say that it is a CA
)
"""What the certificates on a path to an anchor must obey, in the order in which they are looked at."""

VOUCHED_RULES: Sequence[Rule] = (_valid_now, _strong_key, _signs_firmware)
"""What is still asked of the signing certificate when EVerest has vouched for its chain."""


def judge(path: Sequence[Certificate], time: KnownTime, rules: Sequence[Rule]) -> None:
    """Hold every certificate of a path (signer first) against the rules.

    Raises:
        CertificateError: the first rule broken, with the name of the certificate.
    """
    for index, certificate in enumerate(path):
        below = sum(not intermediate.self_issued for intermediate in path[1:index])
        place = Place(certificate, signer=index == 0, anchor=index == len(path) - 1, below=below)
        for rule in rules:
            if fault := rule(place, time):
                raise CertificateError(f"{certificate.name}: {fault}")


class Issuers:
    """Who issued what, among the trust anchors and the certificates that came with the request."""

    def __init__(self, anchors: Iterable[Certificate], others: Iterable[Certificate]) -> None:
        self._anchors = frozenset(anchors)
        self._by_subject: dict[x509.Name, list[Certificate]] = {}
        for certificate in dict.fromkeys((*sorted(self._anchors, key=lambda c: c.fingerprint), *others)):
            self._by_subject.setdefault(certificate.subject, []).append(certificate)
        self._found: dict[Certificate, tuple[Certificate, ...]] = {}
        self._checks = self._steps = 0

    def trusted(self, certificate: Certificate) -> bool:
        """Tell whether the certificate is a trust anchor."""
        return certificate in self._anchors

    def of(self, certificate: Certificate) -> tuple[Certificate, ...]:
        """Return the issuers of a certificate: other certificates with the right name whose key made its signature.

        Raises:
            CertificateError: more signatures to verify than are allowed for one request.
        """
        if certificate not in self._found:
            candidates = [c for c in self._by_subject.get(certificate.issuer, ()) if c != certificate]
            hint = _issuer_key_identifier(certificate)
            candidates.sort(key=lambda c: hint is None or _key_identifier(c) != hint)  # the likely ones first
            self._found[certificate] = tuple(c for c in candidates if self._verified(certificate, c))
        return self._found[certificate]

    def paths(self, signer: Certificate) -> Iterator[tuple[Certificate, ...]]:
        """Yield the paths from the signing certificate to an anchor; the signer may be an anchor itself.

        Raises:
            CertificateError: none was found, or finding them takes too much work.
        """
        waiting: list[tuple[Certificate, ...]] = [(signer,)]
        found, dead_end = False, None
        while waiting:
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise CertificateError("too many ways through the certificates to look at all of them")
            path = waiting.pop()
            if self.trusted(path[-1]):
                found = True
                yield path
                continue
            further = [(*path, issuer) for issuer in self.of(path[-1]) if issuer not in path]
            if not further:
                dead_end = dead_end or path[-1]
            elif len(path) < MAX_LENGTH:
                waiting.extend(reversed(further))
        if not found:
            raise CertificateError(_no_way_up(dead_end) if dead_end else f"{signer.name}: no trust anchor within reach")

    def ancestors(self, certificate: Certificate) -> list[Certificate]:
        """Return the certificate and all that stand above it, anchors or not, each once.

        Raises:
            CertificateError: more signatures to verify than are allowed for one request.
        """
        known = [certificate]
        for lower in known:  # grows while it is walked
            known += [issuer for issuer in self.of(lower) if issuer not in known]
        return known

    def _verified(self, certificate: Certificate, issuer: Certificate) -> bool:
        self._checks += 1
        if self._checks > MAX_SIGNATURE_CHECKS:
            raise CertificateError(f"more than {MAX_SIGNATURE_CHECKS} certificates could be the issuer")
        return certificate.issued_by(issuer)


def _no_way_up(certificate: Certificate) -> str:
    if certificate.self_issued:
        return f"{certificate.name}: issued by itself, and no trust anchor"
    issuer = printable(certificate.issuer)
    return f"{certificate.name}: its issuer, {issuer}, is neither a trust anchor nor among the certificates sent"


def _issuer_key_identifier(certificate: Certificate) -> bytes | None:
    identifier = certificate.extension(x509.AuthorityKeyIdentifier)
    return identifier.key_identifier if identifier else None


def _key_identifier(certificate: Certificate) -> bytes | None:
    identifier = certificate.extension(x509.SubjectKeyIdentifier)
    return identifier.digest if identifier else None
