"""A manufacturer's public key infrastructure: roots, intermediates, signing certificates, CRLs, signatures.

    root = Issuer.root("Maker")
    middle = root.issue("Maker CA 1", ca=True)
    signer = middle.issue("Maker firmware", key=private_key("rsa2048"))
    text = signer.pem + middle.pem                      # what a request carries
    signature = signer.sign(image, "rsa-pss")           # base64
    crl = middle.crl(signer)                            # PEM: the signer is revoked

Everything is valid from 2020 to 2049, so that the real clock does as well as `NOW`. Private keys are made once for
each kind and owner in a test session, because RSA keys take their time.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2049, 1, 1, tzinfo=UTC)
CODE_SIGNING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
_CURVES = {"p192": ec.SECP192R1, "p224": ec.SECP224R1, "p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}


@cache
def private_key(kind: str = "p256", owner: str = "") -> Any:
    """Make the key of this kind (`rsa2048`, `p256`, `ed25519`, `x25519`, `dsa`) for this owner, once."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "x25519":
        return x25519.X25519PrivateKey.generate()
    if kind == "dsa":
        return dsa.generate_private_key(1024)
    return ec.generate_private_key(_CURVES[kind]())


def key_usage(*granted: str) -> x509.KeyUsage:
    """A key usage extension with just these uses, by the argument names of `x509.KeyUsage`."""
    uses = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    uses += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{use: use in granted for use in uses})


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@dataclass(frozen=True)
class Issuer:
    """A certificate with its private key; it may issue others, whether it is a CA or not."""

    certificate: x509.Certificate
    key: Any

    @classmethod
    def root(cls, common_name: str = "Maker Root", *, key: Any = None, **how: Any) -> "Issuer":
        """Make a self-signed CA; `how` as in `issue`."""
        key = key or private_key("p256", common_name)
        return cls(
            _certificate(name(common_name), key.public_key(), name(common_name), key, **{"ca": True, **how}), key
        )

    def issue(self, common_name: str = "Maker Firmware", *, key: Any = None, **how: Any) -> "Issuer":
        """Issue a certificate.

        Args:
            common_name: of the subject.
            key: the subject's private key; a P-256 key by default.
            how: `ca`, `path_length`, `not_before`, `not_after`, `usage`, `extensions` [(value, critical)…], `digest`,
                `pss` (RSA issuer: sign with PSS), `serial`.
        """
        key = key or private_key("p256", common_name)
        return Issuer(self.certify(key.public_key(), common_name, **how), key)

    def certify(self, public_key: Any, common_name: str = "Maker Firmware", **how: Any) -> x509.Certificate:
        """Issue a certificate for a public key whose private half nobody here has; `how` as in `issue`."""
        return _certificate(name(common_name), public_key, self.certificate.subject, self.key, **how)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def crl(
        self,
        *revoked: "Issuer",
        key: Any = None,
        last_update: datetime = NOW - timedelta(days=1),
        next_update: datetime = NOW + timedelta(days=30),
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> str:
        """Make a CRL in PEM that names these certificates; `key` signs in place of the issuer's own."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(last_update).next_update(next_update)
        for victim in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(victim.certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(last_update).build())
        for value, critical in extensions:
            builder = builder.add_extension(value, critical)
        key = key or self.key
        return builder.sign(key, _digest_for(key, hashes.SHA256())).public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, data: bytes, scheme: str = "ecdsa", salt: Any = padding.PSS.DIGEST_LENGTH) -> str:
        """Sign data over SHA-256; base64 in one line."""
        return base64.b64encode(sign_digest(self.key, hashlib.sha256(data).digest(), scheme, salt)).decode()


def sign_digest(key: Any, sha256: bytes, scheme: str, salt: Any = padding.PSS.DIGEST_LENGTH) -> bytes:
    """Sign a SHA-256 digest as `rsa-pss`, `rsa-pkcs1v15` or `ecdsa`."""
    algorithm = Prehashed(hashes.SHA256())
    if scheme == "ecdsa":
        return key.sign(sha256, ec.ECDSA(algorithm))
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=salt)
    return key.sign(sha256, pss if scheme == "rsa-pss" else padding.PKCS1v15(), algorithm)


def with_signature(certificate: x509.Certificate, signature: bytes) -> x509.Certificate:
    """Put another signature below what a certificate says, whoever made it and however long it is."""
    tbs, old = certificate.tbs_certificate_bytes, certificate.public_bytes(serialization.Encoding.DER)
    after = old[old.index(tbs) + len(tbs) :]
    algorithm = after[: 2 + after[1]]
    return x509.load_der_x509_certificate(tlv(0x30, tbs + algorithm + tlv(0x03, b"\0" + signature)))


def tlv(tag: int, content: bytes) -> bytes:
    """One element of DER."""
    size = len(content).to_bytes(4).lstrip(b"\0")
    return bytes([tag]) + (size if len(content) < 128 else bytes([128 + len(size)]) + size) + content


def wrapped(text: str, width: int = 64) -> str:
    """Break base64 into lines with a newline after each, as `openssl base64` does."""
    return "".join(text[i : i + width] + "\n" for i in range(0, len(text), width))


def _digest_for(key: Any, digest: hashes.HashAlgorithm) -> Any:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else digest


def _certificate(
    subject: x509.Name,
    public_key: Any,
    issuer: x509.Name,
    issuer_key: Any,
    *,
    ca: bool = False,
    path_length: int | None = None,
    not_before: datetime = NOT_BEFORE,
    not_after: datetime = NOT_AFTER,
    usage: x509.KeyUsage | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    digest: hashes.HashAlgorithm = hashes.SHA256(),  # noqa: B008 - stateless
    pss: bool = False,
    serial: int | None = None,
) -> x509.Certificate:
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=public_key)
    builder = builder.serial_number(serial or x509.random_serial_number())
    builder = builder.not_valid_before(not_before).not_valid_after(not_after)
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    if usage:
        builder = builder.add_extension(usage, critical=True)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    rsa_padding = padding.PSS(mgf=padding.MGF1(digest), salt_length=padding.PSS.DIGEST_LENGTH) if pss else None
    return builder.sign(issuer_key, _digest_for(issuer_key, digest), rsa_padding=rsa_padding)
