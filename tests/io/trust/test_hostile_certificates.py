"""Certificates and signatures made to waste a station's time: each is answered, and soon."""

import base64
import hashlib
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.openssl_ca import openssl
from support.pki import NOW, Issuer, private_key, with_signature

from everest_system.io.trust.certificates import MAX_CERTIFICATES, MAX_TEXT, read_chain
from everest_system.io.trust.signature import verify
from everest_system.io.trust.trust import Trust
from everest_system.io.trust.verification_error import CertificateError, SignatureError

ROOT = Issuer.root()
SCHEMES = ["rsa-pss", "rsa-pkcs1v15", "ecdsa"]


@contextmanager
def soon(seconds: float = 1.0) -> Iterator[None]:
    """The thread's own time, so that what else runs on the machine does not count; real chains take 2 ms."""
    before = time.thread_time()
    yield
    assert time.thread_time() - before < seconds


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    (tmp_path / "root.pem").write_text(ROOT.pem)
    return Trust([tmp_path / "root.pem"])


def rsa_key(bits: int, exponent: int = 65537, seed: int = 1) -> rsa.RSAPublicKey:
    """A key that nobody can sign with: any odd number will do for its modulus."""
    modulus = random.Random(seed).getrandbits(bits) | 1 << (bits - 1) | 1
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("bits", "exponent"),
    [(8192, 2**64 - 1), (16384, 65537), (16384, 2**64 - 1), (3072, 2**3071 + 1), (4096, 2**4095 + 1), (20000, 3)],
    ids=["8192", "16384", "16384, 64 bits", "3072, all bits", "4096, all bits", "20000"],
)
def test_huge_keys_of_issuers(trust: Trust, bits: int, exponent: int) -> None:
    """Namesakes with huge keys or exponents, each of which might have issued all the others, are refused soon."""
    maker = Issuer.root("Huge", key=private_key("rsa2048"))
    keys = [rsa_key(bits, exponent, seed) for seed in range(MAX_CERTIFICATES)]
    genuine = random.Random(2).randbytes(bits // 8 - 1).rjust(bits // 8, b"\0")  # in form: each key has to try it
    certificates = [pem(with_signature(maker.certify(key, "Huge"), genuine)) for key in keys]
    text = "".join(certificates[: MAX_TEXT // len(certificates[0])])
    with soon(), pytest.raises(CertificateError, match=r"could be the issuer|no trust anchor"):
        trust.check(text, NOW)


@pytest.mark.parametrize(
    ("bits", "exponent", "why"),
    [
        (16384, 65537, "RSA key of 16384 bits"),
        (8193, 65537, "RSA key of 8193 bits"),
        (2047, 65537, "RSA key of 2047 bits"),
        (8192, 2**8191 + 1, None),
        (3072, 2**3071 + 1, None),
        (2048, 3, None),
    ],
    ids=["16384", "8193", "2047", "8192, all bits", "3072, all bits", "smallest"],
)
def test_huge_key_of_the_signer(trust: Trust, bits: int, exponent: int, why: str | None) -> None:
    """A signer's key is at most 8192 bits; whatever its exponent, the signature is refused soon."""
    certificate = ROOT.certify(rsa_key(bits, exponent))
    with soon():
        if why:
            with pytest.raises(CertificateError, match=why):
                trust.check(pem(certificate), NOW)
        else:
            trust.check(pem(certificate), NOW)
        signature = base64.b64encode(random.Random(2).randbytes(bits // 8 - 1).rjust((bits + 7) // 8, b"\0")).decode()
        with pytest.raises(SignatureError):
            verify(certificate, signature, hashlib.sha256().digest(), SCHEMES)


@pytest.mark.parametrize("curve", ["P-256", "secp160r1"])
def test_curve_written_out(tmp_path: Path, trust: Trust, curve: str) -> None:
    """A curve given by its numbers is refused, be it a known one: its generator could be chosen to fit a signature."""
    key = ["-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-pkeyopt", "ec_param_enc:explicit"]
    openssl(tmp_path, "req", "-x509", *key, "-nodes", "-keyout", "key", "-out", "out.pem", "-subj", "/CN=Explicit")
    text = (tmp_path / "out.pem").read_text()
    with pytest.raises(CertificateError, match="CN=Explicit: its curve is written out"):
        trust.check(text, NOW)


def test_curve_that_is_not_known(tmp_path: Path, trust: Trust) -> None:
    """A curve that the library does not know is named as the reason, with whose it is."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:sect283r1"]
    openssl(tmp_path, "req", "-x509", *key, "-nodes", "-keyout", "key", "-out", "out.pem", "-subj", "/CN=Binary")
    with pytest.raises(CertificateError, match="CN=Binary: its public key is broken, or of a kind or curve"):
        trust.check((tmp_path / "out.pem").read_text(), NOW)


def test_key_kept_for_pss(tmp_path: Path) -> None:
    """A key that its certificate keeps for RSA-PSS verifies nothing else (RFC 4055)."""
    key = ["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"]
    openssl(tmp_path, "req", "-x509", *key, "-nodes", "-keyout", "key.pem", "-out", "out.pem", "-subj", "/CN=PSS")
    certificate = x509.load_pem_x509_certificate((tmp_path / "out.pem").read_bytes())
    same_key = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    maker = Issuer(certificate, same_key)
    digest = hashlib.sha256(b"image").digest()
    assert verify(certificate, maker.sign(b"image", "rsa-pss"), digest, SCHEMES) == "rsa-pss"
    with pytest.raises(SignatureError, match="does not fit"):
        verify(certificate, maker.sign(b"image", "rsa-pkcs1v15"), digest, SCHEMES)


MEGABYTES = 10 * 1024 * 1024
LINE = "-----BEGIN CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(lambda: LINE + "A" * MEGABYTES + LINE.replace("BEGIN", "END"), id="one of 10 MB"),
        pytest.param(lambda: ROOT.pem * (MEGABYTES // len(ROOT.pem)), id="10 MB of them"),
        pytest.param(lambda: LINE * (MAX_TEXT // len(LINE)), id="beginnings"),
        pytest.param(lambda: "-----BEGIN " * (MAX_TEXT // 11), id="half beginnings"),
        pytest.param(lambda: "\\n" * (MAX_TEXT // 2), id="line ends"),
        pytest.param(lambda: LINE + "MIIB" * 16000 + "\n" + LINE.replace("BEGIN", "END"), id="half a certificate"),
        pytest.param(lambda: LINE + base64.b64encode(b"\x30\x80" * 20000).decode() + LINE.replace("BEGIN", "END"),
                     id="nested without end"),
    ],
)  # fmt: skip
def test_long_texts(trust: Trust, text) -> None:
    """However long and strange the text, it is refused soon, and the message is short."""
    hostile = text()
    with soon(), pytest.raises(CertificateError) as caught:
        trust.check(hostile, NOW)
    assert len(str(caught.value)) < 200


def test_endless_names_and_extensions(trust: Trust) -> None:
    """A certificate full of names and extensions is read soon, and told by a short line."""
    names = [x509.NameAttribute(x509.NameOID.COMMON_NAME, "x" * 60)] * 300
    unknown = [
        (x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{number}"), b"\x05\x00"), False)
        for number in range(500)
    ]
    many = x509.SubjectAlternativeName([x509.DNSName(f"host{number}.example") for number in range(500)])
    wide = ROOT.issue("x" * 60, extensions=[*unknown, (many, False)])
    with soon():
        assert trust.check(wide.pem, NOW) == wide.certificate
    builder = x509.CertificateBuilder(x509.Name(names), x509.Name(names), ROOT.key.public_key(), 1, NOW, NOW)
    long_name = builder.sign(ROOT.key, ROOT.certificate.signature_hash_algorithm)
    with soon(), pytest.raises(CertificateError) as caught:
        trust.check(pem(long_name), NOW)
    assert len(str(caught.value)) < 250


def test_deep_chain_and_loop(trust: Trust) -> None:
    """The deepest chain that may be sent, and one whose issuers are each other's, are answered soon."""
    chain = [ROOT]
    for number in range(MAX_CERTIFICATES - 1):
        chain.append(chain[-1].issue(f"CA {number}", ca=True))
    deep = "".join(issuer.pem for issuer in chain[1:])
    ring = [Issuer.root("Ring", serial=number) for number in range(1, MAX_CERTIFICATES)]
    loop = ring[0].issue("Leaf").pem + "".join(issuer.pem for issuer in ring)
    with soon():
        assert len(read_chain(deep)) == MAX_CERTIFICATES - 1
        assert trust.check(deep, NOW) == chain[-1].certificate
    with soon(), pytest.raises(CertificateError, match=r"too many|more than"):
        trust.check(loop, NOW)


def test_long_list(trust: Trust, tmp_path: Path) -> None:
    """A list of many thousand certificates is searched soon."""
    signer = ROOT.issue()
    builder = x509.CertificateRevocationListBuilder().issuer_name(ROOT.certificate.subject)
    builder = builder.last_update(NOW).next_update(NOW.replace(year=2030))
    entry = x509.RevokedCertificateBuilder().revocation_date(NOW)
    serials = random.Random(3).sample(range(1, 2**60), 20_000)
    entries = [entry.serial_number(serial).build() for serial in [*serials, signer.certificate.serial_number]]
    crl = x509.CertificateRevocationListBuilder(
        builder._issuer_name, builder._last_update, builder._next_update, [], entries
    ).sign(ROOT.key, ROOT.certificate.signature_hash_algorithm)
    (tmp_path / "long.crl").write_bytes(crl.public_bytes(serialization.Encoding.DER))
    with soon(), pytest.raises(CertificateError, match="revoked"):
        Trust([tmp_path / "root.pem"], [tmp_path / "long.crl"]).check(signer.pem, NOW)
