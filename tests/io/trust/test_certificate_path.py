"""The rules of a path, one by one, and the search for it, which no set of certificates can make long."""

from datetime import UTC, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from support.pki import CODE_SIGNING, NOT_AFTER, NOT_BEFORE, NOW, Issuer, key_usage, private_key, tlv

from everest_system.io.trust.certificate_path import MAX_SIGNATURE_CHECKS, RULES, VOUCHED_RULES, Issuers, judge
from everest_system.io.trust.certificates import Certificate, read_certificate
from everest_system.io.trust.known_time import KnownTime
from everest_system.io.trust.verification_error import CertificateError

ROOT = Issuer.root()
MIDDLE = ROOT.issue("Maker CA 1", ca=True)
SECOND = timedelta(seconds=1)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def read(*issuers: Issuer) -> list[Certificate]:
    return [read_certificate(issuer.der) for issuer in issuers]


def fault(*path: Issuer, now=NOW, rules=RULES) -> str | None:
    """Judge a path, signer first; None if it is good."""
    try:
        judge(read(*path), KnownTime(now, now), rules)
    except CertificateError as error:
        return f"{error}" if error.response == "InvalidCertificate" else error.response
    return None


@pytest.mark.parametrize("who", ["signer", "intermediate", "anchor"])
def test_validity_of_every_certificate(who: str) -> None:
    """Each certificate of a path must be valid at the time, to the second at both ends."""
    window = {"not_before": NOW, "not_after": NOW + SECOND}
    limits = {name: window if name == who else {} for name in ("signer", "intermediate", "anchor")}
    root = Issuer.root(**limits["anchor"])
    middle = root.issue("Maker CA 1", ca=True, **limits["intermediate"])
    path = (middle.issue(**limits["signer"]), middle, root)
    assert fault(*path, now=NOW) is None
    assert fault(*path, now=NOW + SECOND) is None
    assert "not valid before 2026-06-01T12:00:00Z" in str(fault(*path, now=NOW - SECOND))
    assert "expired on 2026-06-01T12:00:01Z" in str(fault(*path, now=NOW + 2 * SECOND))


def test_validity_in_another_time_zone() -> None:
    """The time is an instant, in whatever zone it is given."""
    elsewhere = NOT_AFTER.astimezone(UTC).astimezone(tz=None)
    assert fault(ROOT, now=elsewhere) is None
    assert fault(ROOT, now=NOT_BEFORE) is None


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("rsa1024", "RSA key of 1024 bits"),
        ("p192", "EC key of 192 bits"),
        ("dsa", "this kind of key is not trusted"),
        ("ed25519", "this kind of key signs no firmware"),
        ("rsa2048", None),
        ("rsa3072", None),
        ("p224", None),
        ("p384", None),
    ],
)
def test_key_of_the_signer(kind: str, why: str | None) -> None:
    """The signer's key is strong and of a kind that signs firmware, whoever vouches for it."""
    signer = ROOT.issue(key=private_key(kind))
    for answer in (fault(signer, ROOT), fault(signer, rules=VOUCHED_RULES)):
        assert answer == (f"CN=Maker Firmware: {why}" if why else None) or str(why) in str(answer)


@pytest.mark.parametrize(
    ("kind", "how", "why"),
    [
        ("ed25519", {}, None),
        ("rsa2048", {"pss": True}, None),
        ("rsa2048", {}, None),
        ("rsa1024", {}, "RSA key of 1024 bits"),
        ("p384", {"digest": hashes.SHA384()}, None),
        ("rsa2048", {"digest": hashes.SHA512()}, None),
    ],
)
def test_keys_of_issuers(kind: str, how: dict, why: str | None) -> None:
    """Issuers may use RSA, PSS, ECDSA and Ed25519, but no short keys."""
    root = Issuer.root(key=private_key(kind))
    signer = root.issue(**how)
    assert read(signer)[0].issued_by(read(root)[0])
    answer = fault(signer, root)
    assert answer is None if why is None else why in str(answer)


def test_weak_digests() -> None:
    """A certificate issued with SHA-1 is refused, but not an anchor: it is not trusted for its own signature."""

    def with_sha1(issuer: Issuer) -> Issuer:
        sha256_with_rsa, sha1_with_rsa = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
        assert issuer.der.count(sha256_with_rsa) == 2
        return Issuer(x509.load_der_x509_certificate(issuer.der.replace(sha256_with_rsa, sha1_with_rsa)), issuer.key)

    root = Issuer.root(key=private_key("rsa2048"))
    assert "weak or unknown digest (sha1)" in str(fault(with_sha1(root.issue()), root))
    assert fault(root.issue(), with_sha1(root)) is None


def test_unknown_critical_extensions() -> None:
    """An extension that insists on being understood is refused in every place; one that does not is passed over."""
    constraints = x509.NameConstraints([x509.DNSName("maker.example")], None)
    for extension in (UNKNOWN, constraints):
        for critical in (True, False):
            odd = ROOT.issue(extensions=[(extension, critical)])
            assert (fault(odd, ROOT) is None) != critical
            odd_root = Issuer.root(extensions=[(extension, critical)])
            assert (fault(odd_root.issue(), odd_root) is None) != critical
    assert "1.2.3.4 is not supported" in str(fault(ROOT.issue(extensions=[(UNKNOWN, True)]), ROOT))


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({}, None),
        ({"usage": key_usage("digital_signature")}, None),
        ({"usage": key_usage("content_commitment")}, None),
        ({"usage": key_usage("key_encipherment")}, "neither digitalSignature nor nonRepudiation"),
        ({"usage": key_usage("key_cert_sign", "crl_sign")}, "neither digitalSignature nor nonRepudiation"),
        ({"extensions": [(CODE_SIGNING, True)]}, None),
        ({"extensions": [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False)]}, None),
        ({"extensions": [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)]}, "codeSigning"),
    ],
)
def test_what_the_signer_may_do(how: dict, why: str | None) -> None:
    """A certificate that says what its key is for must name signatures, and code, among it."""
    answer = fault(ROOT.issue(**how), ROOT)
    assert answer is None if why is None else why in str(answer)


def test_anchor_may_sign_whatever_its_usage() -> None:
    """A root that signs firmware itself, as EVerest's test setup has it, is taken as configured."""
    root = Issuer.root(usage=key_usage("key_cert_sign"), key=private_key("rsa2048"))
    assert fault(root) is None


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"ca": True}, None),
        ({"ca": True, "usage": key_usage("key_cert_sign")}, None),
        ({"ca": True, "usage": key_usage("digital_signature")}, "does not include keyCertSign"),
        ({"ca": False}, "is no CA"),
        ({"extensions": [(x509.BasicConstraints(ca=False, path_length=None), True)]}, "is no CA"),
    ],
)
def test_only_a_ca_may_issue(how: dict, why: str | None) -> None:
    """A certificate that is no CA, or not for certificates, has issued nothing that counts."""
    middle = ROOT.issue("Maker CA 1", **how)
    answer = fault(middle.issue(), middle, ROOT)
    assert answer is None if why is None else why in str(answer)


@pytest.mark.parametrize(("allowed", "good"), [(None, True), (2, True), (1, False), (0, False)])
def test_path_length(allowed: int | None, good: bool) -> None:
    """A CA's path length bounds the intermediates below it, self-issued ones not counted, an anchor's too."""
    root = Issuer.root(path_length=allowed)
    one = root.issue("CA 1", ca=True)
    renewed = one.issue("CA 1", ca=True, key=private_key("p256", "renewed"))
    two = renewed.issue("CA 2", ca=True, path_length=0)
    answer = fault(two.issue(), two, renewed, one, root)
    assert answer is None if good else f"path length allows {allowed}" in str(answer)


def version_1(issuer: Issuer) -> Issuer:
    """Sign a certificate without extensions again, its version field left out: DER then means version 1."""
    tbs = issuer.certificate.tbs_certificate_bytes
    header = 2 + (tbs[1] - 128 if tbs[1] > 128 else 0)
    assert tbs[header:].startswith(b"\xa0\x03\x02\x01\x02")
    tbs = tlv(0x30, tbs[header + 5 :])
    ecdsa_with_sha256 = bytes.fromhex("300a06082a8648ce3d040302")
    signature = issuer.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    whole = tlv(0x30, tbs + ecdsa_with_sha256 + tlv(0x03, b"\0" + signature))
    return Issuer(x509.load_der_x509_certificate(whole), issuer.key)


def test_version_1_anchor_may_issue() -> None:
    """An old root without extensions cannot say that it is a CA: as an anchor it is one, below an anchor it is none."""
    old = version_1(Issuer.root(ca=False))
    assert old.certificate.version is x509.Version.v1
    assert paths(old.issue("Leaf"), [old], []) == [["CN=Leaf", "CN=Maker Root"]]
    assert fault(old.issue(), old) is None
    assert "is no CA" in str(fault(old.issue(), old, ROOT))
    new = Issuer.root(ca=False)
    assert "is no CA" in str(fault(new.issue(), new))


def paths(signer: Issuer, anchors: list[Issuer], others: list[Issuer]) -> list[list[str]]:
    found = Issuers(read(*anchors), read(*others)).paths(read(signer)[0])
    return [[certificate.name for certificate in path] for path in found]


def test_path_through_intermediates() -> None:
    """A path is found whatever else is at hand, ends at the first anchor, and may consist of an anchor alone."""
    two = MIDDLE.issue("Maker CA 2", ca=True)
    leaf = two.issue("Leaf")
    stranger = Issuer.root("Stranger")
    full = ["CN=Leaf", "CN=Maker CA 2", "CN=Maker CA 1", "CN=Maker Root"]
    assert paths(leaf, [stranger, ROOT], [stranger, MIDDLE, two, leaf]) == [full]
    assert paths(leaf, [ROOT], [ROOT, two, MIDDLE]) == [full]
    assert paths(leaf, [ROOT, MIDDLE], [two]) == [full[:3]]
    assert paths(leaf, [ROOT, MIDDLE, two], []) == [full[:2]]
    assert paths(ROOT, [ROOT], []) == [full[3:]]
    assert paths(leaf, [leaf], []) == [full[:1]]


THIEF = Issuer.root("Maker Root", key=private_key("p256", "Thief"))
ALONE, ABSENT = "issued by itself, and no trust anchor", "is neither a trust anchor nor among the certificates sent"


@pytest.mark.parametrize(
    ("signer", "anchors", "others", "who"),
    [
        (MIDDLE.issue("Leaf"), [ROOT], [], f"CN=Leaf: its issuer, CN=Maker CA 1, {ABSENT}"),
        (MIDDLE.issue("Leaf"), [], [MIDDLE, ROOT], f"CN=Maker Root: {ALONE}"),
        (MIDDLE.issue("Leaf"), [Issuer.root("Else")], [MIDDLE], f"CN=Maker CA 1: its issuer, CN=Maker Root, {ABSENT}"),
        (Issuer.root("Self"), [ROOT], [], f"CN=Self: {ALONE}"),
        (THIEF.issue("Leaf"), [ROOT], [], f"CN=Leaf: its issuer, CN=Maker Root, {ABSENT}"),
        (THIEF, [ROOT], [], f"CN=Maker Root: {ALONE}"),
    ],
    ids=["missing intermediate", "root not trusted", "other root", "self-signed", "same name", "copied root"],
)
def test_no_path(signer: Issuer, anchors: list[Issuer], others: list[Issuer], who: str) -> None:
    """Without a path the message names the certificate at which it breaks off, and the one that is missing."""
    with pytest.raises(CertificateError, match=f"^{who}$"):
        paths(signer, anchors, others)


def test_paths_past_a_renewed_root() -> None:
    """A root renewed with the same key gives two paths, so that either may be judged."""
    old = Issuer.root(not_after=NOW - timedelta(days=1))
    assert paths(ROOT.issue("Leaf"), [old, ROOT], []) == [["CN=Leaf", "CN=Maker Root"]] * 2


def test_certificates_that_issue_each_other_end_the_search() -> None:
    """Ten certificates that all issue each other are given up, however many ways lead through them."""
    ring = [Issuer.root("Ring", serial=number) for number in range(1, 11)]
    with pytest.raises(CertificateError, match=r"too many|more than"):
        paths(ring[0].issue("Leaf"), [ROOT], ring)
    trio = [Issuer.root("Ring", serial=number) for number in range(1, 5)]
    with pytest.raises(CertificateError, match="CN=Ring: issued by itself, and no trust anchor"):
        paths(trio[0].issue("Leaf"), [ROOT], trio)
    six = [Issuer.root("Ring", serial=number) for number in range(1, 7)]
    with pytest.raises(CertificateError, match="too many ways"):
        paths(six[0].issue("Leaf"), [ROOT], six)


def with_key_identifiers(issuer: Issuer, **how) -> Issuer:
    identifier = x509.SubjectKeyIdentifier.from_public_key(issuer.key.public_key())
    return Issuer.root(key=issuer.key, extensions=[(identifier, False)], **how)


def test_many_issuers_of_one_name() -> None:
    """Among anchors of the same name the right one is found by its key identifier, else the search is bounded."""
    others = [Issuer.root(key=private_key("p256", f"other {number}")) for number in range(MAX_SIGNATURE_CHECKS + 5)]
    right = with_key_identifiers(Issuer.root(key=private_key("p256", "right")))
    hint = x509.AuthorityKeyIdentifier.from_issuer_public_key(right.key.public_key())
    hinted = right.issue("Leaf", extensions=[(hint, False)])
    issuers = Issuers(read(right), read(*others[: MAX_SIGNATURE_CHECKS - 1]))
    assert issuers.of(read(hinted)[0]) == tuple(read(right))
    with pytest.raises(CertificateError, match=f"more than {MAX_SIGNATURE_CHECKS}"):
        paths(others[0].issue("Leaf"), others, [])


def test_longest_path() -> None:
    """A chain longer than any real one ends in a refusal, not in a long search."""
    chain = [ROOT]
    for number in range(10):
        chain.append(chain[-1].issue(f"CA {number}", ca=True))
    with pytest.raises(CertificateError, match="CN=Leaf: no trust anchor within reach"):
        paths(chain[10].issue("Leaf"), [ROOT], chain[1:])
    assert len(paths(chain[8], [ROOT], chain[1:])[0]) == 9


def test_ancestors() -> None:
    """All known issuers above a certificate are found, anchors or not, each once, in spite of circles."""
    ring = [Issuer.root("Ring", serial=number) for number in range(1, 4)]
    leaf = read(ring[0].issue("Leaf"))[0]
    assert len(Issuers([], read(*ring)).ancestors(leaf)) == 4
    assert Issuers([], []).ancestors(leaf) == [leaf]
