"""Certificates from outside, taken apart once and completely.

`cryptography` parses lazily: a hostile certificate may raise, or warn, at whichever attribute is asked for first. So
everything that any rule looks at is read here, inside one guard, into a frozen `Certificate`; after that nothing can
fail any more. Sizes and numbers are bounded before anything is parsed.

    signer, *others = read_chain(text)      # CertificateError for anything that is no chain

What is read is not yet trusted: see `certificate_path` for the rules and `trust` for the whole check.
"""

import base64
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from everest_system.io.trust.verification_error import CertificateError

MAX_TEXT = 64 * 1024
"""Characters of a chain: OCPP allows 5500 for a certificate and 10000 for a chain."""

MAX_CERTIFICATES = 10
"""Certificates in a chain from outside; real ones have two to four."""

_CURVE_IN_FULL = bytes.fromhex("06072a8648ce3d020130")
"""DER of an EC key's algorithm (id-ecPublicKey) with a sequence behind it, where the name of a curve belongs."""

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True)
class Certificate:
    """What the rules look at in one certificate; equal to another exactly if they are the same bytes.

    Attributes:
        fingerprint: SHA-256 of the whole certificate.
        name: the subject as one short printable line, for messages.
        not_before, not_after: first and last instant of its validity, UTC.
        digest: the hash of the issuer's signature, in lower case; "" where the algorithm has none of its own (Ed25519);
            None where it is unknown.
        parsed: the certificate of `cryptography`.
    """

    fingerprint: bytes
    name: str = field(compare=False)
    subject: x509.Name = field(compare=False)
    issuer: x509.Name = field(compare=False)
    serial: int = field(compare=False)
    version: x509.Version = field(compare=False)
    not_before: datetime = field(compare=False)
    not_after: datetime = field(compare=False)
    key: CertificatePublicKeyTypes = field(compare=False)
    digest: str | None = field(compare=False)
    extensions: x509.Extensions = field(compare=False)
    parsed: x509.Certificate = field(compare=False)

    @property
    def self_issued(self) -> bool:
        """Subject and issuer are the same name; such a certificate does not count against a path length."""
        return self.subject == self.issuer

    def extension(self, kind: type[_Extension]) -> _Extension | None:
        """Return the value of the extension of this kind, if the certificate has one."""
        try:
            return self.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    def issued_by(self, issuer: "Certificate") -> bool:
        """Tell whether `issuer` carries the issuer's name, and its key made the signature."""
        try:
            self.parsed.verify_directly_issued_by(issuer.parsed)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
            return False
        return True


def read_chain(text: str) -> list[Certificate]:
    r"""Read the certificates of a request, the signing one first.

    Line ends may be LF, CRLF, spaces, missing, or the two characters `\n`; what stands around the PEM blocks is
    skipped. OCPP puts the signing certificate first; another order is put right: the signer is the one that issued
    none of the others, and no root, if there is a choice.

    Raises:
        CertificateError: no certificate, too much of it, a broken one, or it is not clear which one is the signer's.
    """
    if len(text) > MAX_TEXT:
        raise CertificateError(f"the signing certificate is longer than {MAX_TEXT} characters")
    blocks = pem_blocks(text, "CERTIFICATE")
    if len(blocks) > MAX_CERTIFICATES:
        raise CertificateError(f"the chain has {len(blocks)} certificates, {MAX_CERTIFICATES} are allowed")
    chain = list(dict.fromkeys(read_certificate(block) for block in blocks))
    signer = _signer(chain)
    return [signer, *(certificate for certificate in chain if certificate != signer)]


def read_certificate(der: bytes) -> Certificate:
    """Take a certificate (DER) apart.

    Raises:
        CertificateError: it is none, or something that every certificate needs cannot be read.
    """
    with guarded("a certificate cannot be read"):
        parsed = x509.load_der_x509_certificate(der)
        name = printable(parsed.subject)
        curve_in_full = _CURVE_IN_FULL in parsed.tbs_certificate_bytes
    if curve_in_full:
        raise CertificateError(f"{name}: its curve is written out; only named curves are read (RFC 5480, 2.1.1)")
    with guarded(f"{name}: its public key is broken, or of a kind or curve that is not known"):
        key = parsed.public_key()
    with guarded(f"{name}: the certificate cannot be read"):
        return Certificate(
            fingerprint=parsed.fingerprint(hashes.SHA256()),
            name=name,
            subject=parsed.subject,
            issuer=parsed.issuer,
            serial=parsed.serial_number,
            version=parsed.version,
            not_before=parsed.not_valid_before_utc,
            not_after=parsed.not_valid_after_utc,
            key=key,
            digest=_digest(parsed),
            extensions=parsed.extensions,
            parsed=parsed,
        )


def pem_blocks(text: str, label: str) -> list[bytes]:
    """Return the contents of all PEM blocks with this label (or its old name `X509 …`), in their order.

    Raises:
        CertificateError: there is none, one is cut off, or one is not base64.
    """
    text = text.replace("\\r", "\n").replace("\\n", "\n")
    # No base64 text contains a dash: with [^-] a text of many beginnings without ends is still read in linear time.
    bodies = re.findall(rf"-----BEGIN (?:X509 )?{label}-----([^-]*)-----END (?:X509 )?{label}-----", text)
    if len(bodies) != len(re.findall(rf"-----BEGIN (?:X509 )?{label}-----", text)):
        raise CertificateError(f"a PEM {label} is broken or cut off")
    if not bodies:
        raise CertificateError(f"there is no PEM {label}")
    with guarded(f"a PEM {label} is not base64"):
        return [base64.b64decode("".join(body.split()), validate=True) for body in bodies]


def printable(name: x509.Name) -> str:
    """Return a name as one line of at most 120 printable characters: it comes from outside and goes into logs."""
    line = "".join(c if c.isprintable() else "?" for c in name.rfc4514_string()) or "(no name)"
    return line if len(line) <= 120 else line[:119] + "…"


@contextmanager
def guarded(fault: str) -> Iterator[None]:
    """Turn whatever reading hostile bytes raises into a `CertificateError`, and keep the library's warnings quiet.

    The warnings announce that a later `cryptography` will refuse such a certificate; until then it is no error. They
    are caught process-wide for the moment (before Python 3.14): harmless, as nothing else depends on the filters.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except Exception as error:
            # Documented are ValueError, TypeError and four classes of the library without a common base.
            raise CertificateError(fault) from error


def _digest(parsed: x509.Certificate) -> str | None:
    try:
        algorithm = parsed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    return algorithm.name.lower() if algorithm else ""


def _signer(chain: list[Certificate]) -> Certificate:
    issuers = {certificate.issuer for certificate in chain if not certificate.self_issued}
    leaves = [certificate for certificate in chain if certificate.subject not in issuers]
    leaves = [certificate for certificate in leaves if not certificate.self_issued] or leaves  # a root of another chain
    if chain[0] in leaves or len(leaves) == 1:
        return chain[0] if chain[0] in leaves else leaves[0]
    raise CertificateError("the chain has no clear order: put the signing certificate first")
