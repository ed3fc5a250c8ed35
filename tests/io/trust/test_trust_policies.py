"""What becomes of a certificate where lists are missing, or the clock cannot be right."""

from datetime import timedelta
from pathlib import Path

import pytest
from support.pki import NOW, Issuer, private_key
from support.trusting_station import CHAIN, LEAF, MIDDLE, ROOT, TrustingStation

from everest_system.io.trust.verification_error import CertificateError

CURRENT = ROOT.crl() + MIDDLE.crl()
OUT_OF_DATE = NOW - timedelta(days=0.5)


@pytest.mark.parametrize(
    ("crls", "answer"),
    [
        (CURRENT, "Accepted"),
        (MIDDLE.crl(), "InvalidCertificate"),
        (ROOT.crl(), "InvalidCertificate"),
        (ROOT.crl() + MIDDLE.crl(next_update=OUT_OF_DATE), "InvalidCertificate"),
        (ROOT.crl(next_update=OUT_OF_DATE) + MIDDLE.crl(), "InvalidCertificate"),
        (ROOT.crl() + MIDDLE.crl(key=private_key("p256", "Thief")), "InvalidCertificate"),
        (ROOT.crl() + ROOT.issue("Maker CA 1", ca=True, key=private_key("p256", "T")).crl(), "InvalidCertificate"),
        (ROOT.crl(MIDDLE) + MIDDLE.crl(), "RevokedCertificate"),
        (ROOT.crl() + MIDDLE.crl(LEAF, next_update=OUT_OF_DATE), "RevokedCertificate"),
    ],
    ids=["all", "none for the intermediate", "none for the signer", "expired", "expired above", "forged", "namesake's",
         "revoked intermediate", "revoked in an expired list"],
)  # fmt: skip
@pytest.mark.parametrize("chain", ["anchors", "everest"])
def test_required_lists(tmp_path: Path, chain: str, crls: str, answer: str) -> None:
    """Where lists are required, each certificate below the anchor needs a current one of its own issuer."""
    station = TrustingStation(tmp_path, chain, crl_policy="require")
    station.revoke(crls)
    assert station.answer() == answer
    assert station.warnings == []


def test_required_lists_say_what_is_missing(tmp_path: Path) -> None:
    """The refusal names the certificate, the reason, and the key that wants it so."""
    station = TrustingStation(tmp_path, crl_policy="require")
    station.revoke(ROOT.crl() + MIDDLE.crl(next_update=OUT_OF_DATE))
    with pytest.raises(CertificateError, match=r"CN=Maker Firmware: .*out of date.* firmware\.crl_policy requires"):
        station.trust.check(CHAIN, NOW)


def test_required_list_of_a_renewed_authority(tmp_path: Path) -> None:
    """A CA's new key that its old one vouches for needs a list by the old one; its own is no word on itself."""
    station = TrustingStation(tmp_path, crl_policy="require")
    renewed = MIDDLE.issue("Maker CA 1", ca=True, key=private_key("p256", "renewed"))
    chain = renewed.issue().pem + renewed.pem + MIDDLE.pem
    station.revoke(ROOT.crl() + renewed.crl())
    assert station.answer(chain) == "InvalidCertificate"
    station.revoke(ROOT.crl() + renewed.crl() + MIDDLE.crl())
    assert station.answer(chain) == "Accepted"


def test_required_lists_and_a_signing_root(tmp_path: Path) -> None:
    """An anchor that signs by itself needs no list; one that names it in its own takes it back."""
    station = TrustingStation(tmp_path, crl_policy="require")
    station.revoke(MIDDLE.crl())
    assert station.answer(ROOT.pem) == "Accepted"
    station.revoke(ROOT.crl(ROOT))
    assert station.answer(ROOT.pem) == "RevokedCertificate"


WAKING = NOW.replace(year=1970)


def test_clock_before_the_build(tmp_path: Path) -> None:
    """A clock before the build makes nothing too early; what had expired by then has expired all the same."""
    station = TrustingStation(tmp_path, built=NOW)
    later, sooner = NOW + timedelta(days=90), NOW - timedelta(days=1)
    late, old = MIDDLE.issue(not_before=later), MIDDLE.issue(not_after=sooner)
    old_middle = ROOT.issue("Maker CA 1", ca=True, not_after=sooner)
    assert station.answer(now=WAKING) == "Accepted"
    assert station.warnings[0].startswith("the clock says 1970-06-01, before this software was built (2026-06-01): ")
    assert station.answer(late.pem + MIDDLE.pem, WAKING) == "Accepted"
    assert station.answer(late.pem + MIDDLE.pem, NOW) == "InvalidCertificate"
    for expired in (old.pem + MIDDLE.pem, LEAF.pem + old_middle.pem):
        assert station.answer(expired, WAKING) == "InvalidCertificate"
    station.revoke(MIDDLE.crl(LEAF, last_update=later, next_update=later))
    assert station.answer(now=WAKING) == "RevokedCertificate"


def test_clock_believed(station: TrustingStation) -> None:
    """Where no day of a build is known, any clock is believed, and said nothing of."""
    assert station.answer(now=WAKING) == "InvalidCertificate"
    assert station.answer() == "Accepted"
    assert not any("clock" in warning for warning in station.warnings)


def test_everest_vouches_and_lists_are_required(tmp_path: Path) -> None:
    """A root that came with the chain needs no list of anybody's, as an anchor does; its own may take it back."""
    vouched = TrustingStation(tmp_path, "everest", crl_policy="require")
    root = Issuer.root("Stranger")
    leaf = root.issue("Stranger Firmware")
    vouched.revoke(root.crl())
    assert vouched.answer(leaf.pem + root.pem) == "Accepted"
    assert vouched.answer(leaf.pem) == "InvalidCertificate"
    vouched.revoke(root.crl(root))
    assert vouched.answer(leaf.pem + root.pem) == "RevokedCertificate"
