"""Firmware as a manufacturer would deliver it: an image, its signature, and the certificates that vouch for it.

Example:
    firmware = make_firmware(folder, size_mib=32)
    firmware.root              # for `firmware.trust_anchors`
    firmware.certificate       # for the request, with firmware.signature
    firmware.tampered          # the same image with one bit changed: its signature is wrong
"""

import base64
import hashlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_BLOCK: Final = 1 << 20
_VALID_FOR: Final = timedelta(days=365)


@dataclass(frozen=True)
class Firmware:
    """What was made; all files are in one folder.

    Attributes:
        image: the firmware.
        tampered: a copy with one bit changed.
        root: the manufacturer's root certificate, PEM.
        certificate_file: the signing certificate, PEM.
        signature_file: the signature over the image, base64.
        certificate: the signing certificate, PEM text.
        signature: ECDSA over SHA-256, base64 text.
        sha256: the image's digest in lower-case hex.
    """

    image: Path
    tampered: Path
    root: Path
    certificate_file: Path
    signature_file: Path
    certificate: str
    signature: str
    sha256: str


def make_firmware(folder: Path, size_mib: int = 32, seed: int = 1) -> Firmware:
    """Make firmware in `folder`, which must exist. Keys are new each time, the image's content follows from the seed.

    Args:
        folder: files in it are overwritten.
        size_mib: of the image, 1 or more; written in blocks.
        seed: of the content.

    Raises:
        OSError: a file cannot be written.
        ValueError: the size is less than 1.
    """
    if size_mib < 1:
        raise ValueError("an image has 1 MiB at least")
    image, tampered = folder / "firmware.img", folder / "firmware-tampered.img"
    digest = _write(image, tampered, size_mib, seed)
    root_key, signing_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("Demo Manufacturer Root", root_key, "Demo Manufacturer Root", root_key)
    certificate = _certificate("Demo Manufacturer Firmware", signing_key, "Demo Manufacturer Root", root_key)
    signature = base64.b64encode(signing_key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))).decode()
    made = Firmware(
        image=image,
        tampered=tampered,
        root=folder / "manufacturer-root.pem",
        certificate_file=folder / "firmware.pem",
        signature_file=folder / "firmware.sig",
        certificate=certificate,
        signature=signature,
        sha256=digest.hex(),
    )
    made.root.write_text(root)
    made.certificate_file.write_text(certificate)
    made.signature_file.write_text(signature + "\n")
    return made


def _write(image: Path, tampered: Path, size_mib: int, seed: int) -> bytes:
    content, digest = random.Random(seed), hashlib.sha256()
    with image.open("wb") as good, tampered.open("wb") as bad:
        for number in range(size_mib):
            block = content.randbytes(_BLOCK)
            digest.update(block)
            good.write(block)
            bad.write(block if number != size_mib // 2 else bytes([block[0] ^ 1]) + block[1:])
    return digest.digest()


def _certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey
) -> str:
    root = subject == issuer
    now = datetime.now(UTC)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = (
        x509.CertificateBuilder(_name(issuer), _name(subject), key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks differ
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=root, path_length=0 if root else None), critical=True)
        .add_extension(_key_usage(root=root), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority, critical=False)
    )
    if not root:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _key_usage(*, root: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not root,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=root,
        crl_sign=root,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
