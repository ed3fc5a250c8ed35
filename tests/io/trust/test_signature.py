"""A signature is accepted only from the right key, over the right file, in an allowed scheme."""

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples
from support.openssl_ca import OpensslCa, openssl
from support.pki import Issuer, private_key, wrapped

from everest_system.io.trust.signature import MAX_TEXT, verify, verify_file
from everest_system.io.trust.verification_error import SignatureError

IMAGE = b"firmware " * 1000
DIGEST = hashlib.sha256(IMAGE).digest()
SCHEMES = ["rsa-pss", "rsa-pkcs1v15", "ecdsa"]
quick = settings(max_examples=examples(150))


def signer(kind: str) -> Issuer:
    return Issuer.root(f"Maker {kind}", key=private_key(kind))


@pytest.mark.parametrize(
    ("kind", "scheme", "salt"),
    [
        ("rsa2048", "rsa-pss", padding.PSS.DIGEST_LENGTH),
        ("rsa2048", "rsa-pss", padding.PSS.MAX_LENGTH),
        ("rsa2048", "rsa-pss", 0),
        ("rsa3072", "rsa-pss", 20),
        ("rsa2048", "rsa-pkcs1v15", 0),
        ("rsa3072", "rsa-pkcs1v15", 0),
        ("p256", "ecdsa", 0),
        ("p384", "ecdsa", 0),
    ],
)
def test_scheme_follows_from_key_and_signature(kind: str, scheme: str, salt) -> None:
    """Every scheme that OCPP and EVerest use is recognised, with any salt; a single other bit of the file is not."""
    maker = signer(kind)
    signature = maker.sign(IMAGE, scheme, salt)
    assert verify(maker.certificate, signature, DIGEST, SCHEMES) == scheme
    assert verify(maker.certificate, signature, DIGEST, [scheme]) == scheme
    tampered = bytes([DIGEST[0] ^ 1]) + DIGEST[1:]
    with pytest.raises(SignatureError, match="does not fit"):
        verify(maker.certificate, signature, tampered, SCHEMES)


@pytest.mark.parametrize(("kind", "scheme"), [("rsa2048", "rsa-pss"), ("rsa2048", "rsa-pkcs1v15"), ("p256", "ecdsa")])
def test_scheme_that_is_not_allowed(kind: str, scheme: str) -> None:
    """A genuine signature in a scheme that is switched off is refused, and the message names the scheme and the key."""
    maker = signer(kind)
    others = [other for other in SCHEMES if other != scheme]
    with pytest.raises(SignatureError, match=rf"{scheme}, which firmware\.signature_schemes does not allow"):
        verify(maker.certificate, maker.sign(IMAGE, scheme), DIGEST, others)


@pytest.mark.parametrize(("kind", "other"), [("rsa2048", "rsa3072"), ("p256", "p384"), ("rsa2048", "p256")])
def test_another_key(kind: str, other: str) -> None:
    """A signature by another key, of the same kind or not, is refused."""
    theirs = signer(other).sign(IMAGE, "ecdsa" if other.startswith("p") else "rsa-pss")
    with pytest.raises(SignatureError, match="does not fit"):
        verify(signer(kind).certificate, theirs, DIGEST, SCHEMES)
    scheme = "ecdsa" if kind == "p256" else "rsa-pss"
    same_kind = Issuer.root("Thief", key=private_key(kind, "Thief"))
    with pytest.raises(SignatureError, match="does not fit"):
        verify(signer(kind).certificate, same_kind.sign(IMAGE, scheme), DIGEST, SCHEMES)


def test_key_that_signs_no_firmware() -> None:
    """A certificate whose key knows none of the schemes verifies nothing."""
    maker = signer("ed25519")
    signature = base64.b64encode(maker.key.sign(IMAGE)).decode()
    with pytest.raises(SignatureError, match="cannot be checked"):
        verify(maker.certificate, signature, DIGEST, SCHEMES)


def test_digest_of_another_kind() -> None:
    """What is no SHA-256 digest is refused, not taken for one."""
    maker = signer("p256")
    with pytest.raises(SignatureError, match="cannot be checked"):
        verify(maker.certificate, maker.sign(IMAGE), hashlib.sha512(IMAGE).digest(), SCHEMES)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(wrapped, id="wrapped as EVerest's test image"),
        pytest.param(lambda text: wrapped(text, 76).replace("\n", "\r\n"), id="CRLF"),
        pytest.param(lambda text: wrapped(text).replace("\n", "\\n"), id="literal \\n"),
        pytest.param(lambda text: wrapped(text).replace("\n", "\\r\\n"), id="literal \\r\\n"),
        pytest.param(lambda text: f" \t{text} \n\n", id="white space"),
        pytest.param(lambda text: text.rstrip("="), id="no padding"),
    ],
)
@pytest.mark.parametrize("kind", ["rsa2048", "rsa3072"])
def test_text_forms(change, kind: str) -> None:
    """Base64 is read in every form in which it travels."""
    maker = signer(kind)
    assert verify(maker.certificate, change(maker.sign(IMAGE, "rsa-pkcs1v15")), DIGEST, SCHEMES) == "rsa-pkcs1v15"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        (" \n\\n", "empty"),
        ("A", "not base64"),
        ("AA=A", "not base64"),
        ("AAA==", "not base64"),
        ("_-AA", "not base64"),
        ("AAAA\N{EURO SIGN}", "not base64"),
        ("\udc80AAA", "not base64"),
        ("-----BEGIN SIGNATURE-----", "not base64"),
        ("A" * (MAX_TEXT + 1), f"longer than {MAX_TEXT}"),
        ("A" * MAX_TEXT, "does not fit"),
        ("AAAA", "does not fit"),
    ],
)
@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
def test_what_is_no_signature_is_refused(text: str, fault: str, kind: str) -> None:
    """Text that is no base64 is refused as such, and base64 that is no signature likewise."""
    with pytest.raises(SignatureError, match=fault):
        verify(signer(kind).certificate, text, DIGEST, SCHEMES)


@quick
@given(st.text() | st.binary(max_size=600).map(lambda raw: base64.b64encode(raw).decode()), st.booleans())
def test_any_text_is_refused(text: str, elliptic: bool) -> None:
    """Whatever text comes for a signature, the only way out is SignatureError."""
    with pytest.raises(SignatureError):
        verify(signer("p256" if elliptic else "rsa2048").certificate, text, DIGEST, SCHEMES)


def test_file_on_disk(tmp_path: Path) -> None:
    """A file is verified as it stands on disk, and one that cannot be read is named."""
    maker = signer("p256")
    signature = maker.sign(IMAGE)
    image = tmp_path / "image.bin"
    with pytest.raises(SignatureError, match=r"image\.bin: No such file"):
        verify_file(image, maker.certificate, signature, SCHEMES)
    image.write_bytes(IMAGE)
    assert verify_file(image, maker.certificate, signature, SCHEMES) == "ecdsa"
    image.write_bytes(IMAGE[:-1])
    with pytest.raises(SignatureError, match="does not fit"):
        verify_file(image, maker.certificate, signature, SCHEMES)


@pytest.mark.parametrize(
    ("key", "options", "scheme"),
    [
        ("rsa:2048", [], "rsa-pkcs1v15"),
        ("rsa:2048", ["rsa_padding_mode:pss", "rsa_pss_saltlen:max"], "rsa-pss"),
        ("rsa-pss:2048", [], "rsa-pss"),
        ("P-224", [], "ecdsa"),
        ("P-256", [], "ecdsa"),
        ("P-384", [], "ecdsa"),
        ("P-521", [], "ecdsa"),
        ("brainpoolP256r1", [], "ecdsa"),
        ("brainpoolP384r1", [], "ecdsa"),
        ("brainpoolP512r1", [], "ecdsa"),
    ],
)
def test_signed_by_openssl(tmp_path: Path, key: str, options: list[str], scheme: str) -> None:
    """What a manufacturer signs with the openssl command, base64 wrapped by it as well, is accepted."""
    maker = OpensslCa.root(tmp_path / "maker", key=key)
    (maker.folder / "image").write_bytes(IMAGE)
    sign = [part for option in options for part in ("-sigopt", option)]
    openssl(maker.folder, "dgst", "-sha256", *sign, "-sign", "ca.key", "-out", "raw", "image")
    text = openssl(maker.folder, "base64", "-in", "raw")
    assert text.index("\n") == 64
    certificate = x509.load_pem_x509_certificate(maker.certificate.encode())
    assert verify_file(maker.folder / "image", certificate, text, SCHEMES) == scheme
    (maker.folder / "image").write_bytes(IMAGE + b"\n")
    with pytest.raises(SignatureError, match="does not fit"):
        verify_file(maker.folder / "image", certificate, text, SCHEMES)
