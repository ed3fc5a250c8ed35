"""Whose certificate may sign firmware: the whole check, with files as an integrator lays them down."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples
from support.pki import NOT_AFTER, NOW, Issuer, key_usage, private_key, wrapped
from support.trusting_station import CHAIN, LEAF, MIDDLE, ROOT, TrustingStation

from everest_system.io.trust import trust as trust_module
from everest_system.io.trust.signature import verify
from everest_system.io.trust.trust import Trust
from everest_system.io.trust.verification_error import CertificateError, TrustError


def test_chain_to_an_anchor(station: TrustingStation) -> None:
    """A good chain gives back the signing certificate, whatever its order, and nothing is warned of but the CRLs."""
    assert station.trust.check(CHAIN, NOW) == LEAF.certificate
    assert station.trust.check(ROOT.pem + MIDDLE.pem + LEAF.pem, NOW) == LEAF.certificate


def test_everest_test_image(station: TrustingStation) -> None:
    """EVerest's own setup passes: a self-signed root signs by itself, RSA-2048 with PKCS #1 v1.5, base64 wrapped."""
    root = Issuer.root("MF root", key=private_key("rsa2048"), usage=key_usage("key_cert_sign", "crl_sign"))
    station.put(root)
    certificate = station.trust.check(root.pem.replace("\n", "\\n"), NOW)
    signature = wrapped(root.sign(b"image", "rsa-pkcs1v15"))
    digest = hashlib.sha256(b"image").digest()
    assert verify(certificate, signature, digest, ["rsa-pss", "rsa-pkcs1v15"]) == "rsa-pkcs1v15"
    assert station.warnings == []


def test_refusals(station: TrustingStation) -> None:
    """Strangers, incomplete chains, copied names and dates out of range are InvalidCertificate."""
    thief = Issuer.root("Maker Root", key=private_key("p256", "Thief"))
    for pem in (LEAF.pem, Issuer.root("Stranger").pem, thief.issue().pem + thief.pem, thief.pem, "no certificate"):
        assert station.answer(pem) == "InvalidCertificate", pem
    assert station.answer(now=NOT_AFTER + timedelta(seconds=1)) == "InvalidCertificate"
    assert station.answer() == "Accepted"


def test_no_anchor_configured() -> None:
    """Without anchors nobody is trusted, and the message says which key to set."""
    with pytest.raises(CertificateError, match=r"set firmware\.trust_anchors") as caught:
        Trust().check(CHAIN, NOW)
    assert caught.value.response == "InvalidCertificate"


@pytest.mark.parametrize(("issuer", "victim"), [(MIDDLE, LEAF), (ROOT, MIDDLE)], ids=["leaf", "intermediate"])
def test_revoked(station: TrustingStation, issuer: Issuer, victim: Issuer) -> None:
    """A revoked signer or intermediate is RevokedCertificate, however out of date the list."""
    station.revoke(issuer.crl(victim))
    assert station.answer() == "RevokedCertificate"
    station.revoke(issuer.crl(victim, next_update=NOW - timedelta(days=0.5)))
    assert station.answer() == "RevokedCertificate"
    station.revoke(issuer.crl(victim, key=private_key("p256", "Thief")))
    assert station.answer() == "Accepted"


def test_revoked_intermediate_that_is_an_anchor(station: TrustingStation) -> None:
    """An intermediate among the anchors is still subject to its own issuer's list."""
    station.put(MIDDLE, "middle.pem")
    assert station.answer(LEAF.pem) == "Accepted"
    station.revoke(ROOT.crl(MIDDLE))
    assert station.answer(LEAF.pem) == "RevokedCertificate"


def test_one_good_path_is_enough(station: TrustingStation) -> None:
    """With two ways up, one expired or revoked, the other decides; with none left, revoked is the answer."""
    expired = ROOT.issue("Maker CA 1", ca=True, not_after=NOW - timedelta(days=1))
    thief = Issuer.root("Maker CA 1", key=private_key("p256", "Thief"))
    for order in (expired.pem + MIDDLE.pem, MIDDLE.pem + expired.pem, thief.pem + MIDDLE.pem):
        assert station.answer(LEAF.pem + order) == "Accepted"
    station.revoke(ROOT.crl(MIDDLE))
    for order in (expired.pem + MIDDLE.pem, MIDDLE.pem + expired.pem):
        assert station.answer(LEAF.pem + order) == "RevokedCertificate"
    assert station.answer(LEAF.pem + expired.pem) == "InvalidCertificate"


def test_warnings(station: TrustingStation) -> None:
    """Each certificate below the anchor whose revocation is unknown is warned of once; with current lists, none."""
    assert station.answer() == "Accepted"
    assert [line.split(":")[0] for line in station.warnings] == ["CN=Maker Firmware", "CN=Maker CA 1"]
    station.revoke(ROOT.crl() + MIDDLE.crl())
    station.warnings.clear()
    assert station.answer() == "Accepted"
    assert station.warnings == []
    station.revoke(ROOT.crl() + MIDDLE.crl(next_update=NOW - timedelta(days=0.5)))
    assert station.answer() == "Accepted"
    assert len(station.warnings) == 1
    assert station.warnings[0].endswith("list.crl: out of date)")


def test_refused_certificates_are_not_warned_of(station: TrustingStation) -> None:
    """Warnings belong to what is accepted; a refusal speaks for itself."""
    assert station.answer(now=NOT_AFTER + timedelta(days=1)) == "InvalidCertificate"
    assert station.warnings == []


def test_one_warning_without_any_crl(tmp_path: Path) -> None:
    """Where no CRL is configured, a single line says so."""
    (tmp_path / "root.pem").write_text(ROOT.pem)
    warnings: list[str] = []
    Trust([tmp_path / "root.pem"], on_warning=warnings.append).check(CHAIN, NOW)
    assert warnings == ["revocation of the signing certificate is not checked: firmware.crls is empty"]
    Trust([tmp_path / "root.pem"]).check(CHAIN, NOW)


def test_everest_vouches(vouched: TrustingStation) -> None:
    """When EVerest has checked the chain, a stranger passes, but neither out of date nor with a weak key."""
    for pem in (LEAF.pem, CHAIN, Issuer.root("Stranger").pem, LEAF.issue("Leaf below a leaf").pem):
        assert vouched.answer(pem) == "Accepted"
    assert Trust(chain="everest").check(LEAF.pem, NOW) == LEAF.certificate
    assert vouched.answer("no certificate") == "InvalidCertificate"
    assert vouched.answer(now=NOT_AFTER + timedelta(days=1)) == "InvalidCertificate"
    assert vouched.answer(MIDDLE.issue(key=private_key("rsa1024")).pem) == "InvalidCertificate"


def test_everest_vouches_but_not_for_the_revoked(vouched: TrustingStation) -> None:
    """Our CRLs count even then, as far as the issuers are known; else a warning says that they could not be used."""
    vouched.revoke(MIDDLE.crl(LEAF))
    assert vouched.answer(CHAIN) == "RevokedCertificate"
    assert vouched.answer(LEAF.pem) == "Accepted"
    assert len(vouched.warnings) == 1
    assert "its issuer is not known" in vouched.warnings[0]
    vouched.revoke(ROOT.crl(MIDDLE))
    assert vouched.answer(CHAIN) == "RevokedCertificate"


def test_files_are_read_anew(station: TrustingStation) -> None:
    """Anchors and CRLs that change count from the next check on."""
    station.put(Issuer.root("Another"))
    assert station.answer() == "InvalidCertificate"
    station.put(ROOT)
    assert station.answer() == "Accepted"
    station.revoke(MIDDLE.crl(LEAF))
    assert station.answer() == "RevokedCertificate"


def test_file_forms(tmp_path: Path) -> None:
    """Anchors and CRLs may be PEM or DER, several in a file, files or folders; other files there are passed by."""
    bundle = tmp_path / "bundle"
    bundle.write_text("# ours\r\n" + (Issuer.root("Other").pem + ROOT.pem).replace("\n", "\r\n"))
    (tmp_path / "der").mkdir()
    (tmp_path / "der" / "root.CRT").write_bytes(ROOT.der)
    (tmp_path / "der" / "README.txt").write_text("not a certificate")
    (tmp_path / "der" / "folder.pem").mkdir()
    (tmp_path / "list").write_text(Issuer.root("Other").crl() + MIDDLE.crl(LEAF))
    (tmp_path / "one.crl").write_bytes(_crl_der(MIDDLE.crl(LEAF)))
    for anchors in (bundle, tmp_path / "der"):
        assert Trust([anchors]).check(CHAIN, NOW) == LEAF.certificate
        for crl in ("list", "one.crl"):
            with pytest.raises(CertificateError, match=f"revoked .*{crl}"):
                Trust([anchors], [tmp_path / crl]).check(CHAIN, NOW)


def _crl_der(pem: str) -> bytes:
    return x509.load_pem_x509_crl(pem.encode()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("chain", ["anchors", "everest"])
@pytest.mark.parametrize("which", ["anchors", "crls"])
@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\xff" * 100, ROOT.pem[:100].encode(), ROOT.pem.encode() + b"-----BEGIN X509 CRL-----"],
    ids=["empty", "text", "binary", "cut off", "second one cut off"],
)
def test_broken_file(tmp_path: Path, chain: str, which: str, content: bytes) -> None:
    """A broken file of ours refuses everything, by name, and is found when it is looked for beforehand."""
    station = TrustingStation(tmp_path, chain)
    if which == "anchors" and content.startswith(ROOT.pem.encode()):
        content = content.replace(b"X509 CRL", b"CERTIFICATE")
    (getattr(station, which) / "broken.pem").write_bytes(content)
    for action in (lambda: station.trust.check(CHAIN, NOW), station.trust.check_files):
        with pytest.raises(TrustError, match=rf"{which}/broken\.pem: ") as caught:
            action()
        assert caught.value.response == "InvalidCertificate"


def test_missing_files(station: TrustingStation, tmp_path: Path) -> None:
    """A path that leads nowhere, or to no file or folder, and a folder without a certificate are errors by name."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "nowhere", tmp_path / "pipe", tmp_path / ("x" * 300)):
        for trust in (Trust([path]), Trust([station.anchors], [path])):
            with pytest.raises(TrustError, match=str(path)):
                trust.check_files()
    with pytest.raises(TrustError, match=rf"{station.crls} .*no certificate.*\.pem"):
        Trust([station.crls]).check_files()
    station.trust.check_files()


def test_file_that_may_not_be_read(station: TrustingStation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is there but refuses to be read is named, with the system's reason."""

    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(TrustError, match=r"root\.pem: Permission denied"):
        station.trust.check_files()
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(TrustError, match="anchors: Permission denied"):
        station.trust.check_files()


def test_too_much_to_read(station: TrustingStation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and folders beyond all measure are refused, not read."""
    monkeypatch.setattr(trust_module, "MAX_FILES", 1)
    station.trust.check_files()
    station.put(MIDDLE, "middle.pem")
    with pytest.raises(TrustError, match="more than 1 files"):
        station.trust.check_files()
    monkeypatch.undo()
    monkeypatch.setattr(trust_module, "MAX_FILE", 10)
    with pytest.raises(TrustError, match="larger than 10 bytes"):
        station.trust.check_files()


@pytest.fixture(scope="module")
def root_file(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("trust") / "root.pem"
    file.write_text(ROOT.pem)
    return file


@settings(max_examples=examples(100))
@given(st.permutations([LEAF.pem, MIDDLE.pem, ROOT.pem, "\\n", "junk", Issuer.root("Other").pem]), st.integers(0, 6))
def test_any_selection_is_accepted_or_refused(root_file: Path, pieces: list[str], count: int) -> None:
    """Whatever pieces of a chain come in whatever order, the signer is the leaf or root, or it is a refusal."""
    try:
        signer = Trust([root_file]).check("".join(pieces[:count]), NOW)
    except CertificateError:
        return
    assert signer in (LEAF.certificate, MIDDLE.certificate, ROOT.certificate)
