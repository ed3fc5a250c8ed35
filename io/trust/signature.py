"""Is this firmware signed by the key of this certificate?

The digest is SHA-256 in every scheme (L01.FR.12). The key decides which schemes can be meant: an RSA key signs with
RSA-PSS (any salt length, as signers differ; MGF1 with SHA-256) or PKCS #1 v1.5 (as EVerest's own test images), an RSA
key that its certificate keeps for PSS (RFC 4055) with PSS alone, an EC key with ECDSA (DER). Whether the certificate is
to be trusted is not asked here: see `trust`.

    verify(certificate, request.signature, digest, {"rsa-pss", "ecdsa"})    # "rsa-pss", or SignatureError
"""

import base64
import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import PublicKeyAlgorithmOID

from everest_system.io.trust.verification_error import SignatureError

Scheme = Literal["rsa-pss", "rsa-pkcs1v15", "ecdsa"]

MAX_TEXT = 16 * 1024
"""Characters of a signature: OCPP allows 800, RSA of 8192 bits takes 1368."""

_SHA256 = Prehashed(hashes.SHA256())
_RSA_PADDINGS: tuple[tuple[Scheme, padding.AsymmetricPadding], ...] = (
    ("rsa-pss", padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)),
    ("rsa-pkcs1v15", padding.PKCS1v15()),
)


def verify(certificate: x509.Certificate, signature: str, sha256: bytes, schemes: Collection[str]) -> Scheme:
    r"""Check the signature over a file with this SHA-256 digest.

    Args:
        certificate: the signing certificate, as `Trust.check` returned it.
        signature: base64 text; white space and the two characters `\n` may break it up anywhere, and the `=` at its
            end may be missing. Nothing else is tolerated.
        sha256: the 32 bytes of the whole file's digest.
        schemes: the schemes allowed.

    Returns:
        The scheme that the firmware is signed with.

    Raises:
        SignatureError: it is not a signature of this file by this certificate, or in a scheme that is not allowed.
    """
    raw = _decode(signature)
    try:
        scheme = _scheme(certificate, raw, sha256)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureError("the signature cannot be checked with the key of the signing certificate") from error
    if scheme is None:
        raise SignatureError("the signature does not fit the file and the signing certificate")
    if scheme not in schemes:
        raise SignatureError(f"signed with {scheme}, which firmware.signature_schemes does not allow")
    return scheme


def verify_file(path: Path, certificate: x509.Certificate, signature: str, schemes: Collection[str]) -> Scheme:
    """Like `verify`, over a file as it stands on disk; memory use does not grow with the file.

    Raises:
        SignatureError: as `verify`, or the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise SignatureError(f"{path}: {error.strerror}") from error
    return verify(certificate, signature, digest, schemes)


def _decode(text: str) -> bytes:
    if len(text) > MAX_TEXT:
        raise SignatureError(f"the signature is longer than {MAX_TEXT} characters")
    packed = "".join(text.replace("\\r", "").replace("\\n", "").split())
    if not packed:
        raise SignatureError("the signature is empty")
    if "=" not in packed:
        packed += "=" * (-len(packed) % 4)
    try:
        return base64.b64decode(packed, validate=True)
    except ValueError as error:
        raise SignatureError("the signature is not base64") from error


def _scheme(certificate: x509.Certificate, signature: bytes, sha256: bytes) -> Scheme | None:
    key = certificate.public_key()
    match key:
        case rsa.RSAPublicKey():
            only_pss = certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS
            for scheme, kind in _RSA_PADDINGS[: 1 if only_pss else None]:
                try:
                    key.verify(signature, sha256, kind, _SHA256)
                except InvalidSignature:
                    continue
                return scheme
            return None
        case ec.EllipticCurvePublicKey():
            try:
                key.verify(signature, sha256, ec.ECDSA(_SHA256))
            except InvalidSignature:
                return None
            return "ecdsa"
    raise TypeError(type(key))
