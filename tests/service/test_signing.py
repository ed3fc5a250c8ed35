"""What the station asks about certificates, with its own settings and its own day of the build."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from support.pki import Issuer

from everest_system.io.trust.verification_error import CertificateError
from everest_system.signing import SigningCertificates
from everest_system.version import BUILT

ROOT = Issuer.root()
LEAF = ROOT.issue()


def certificates(folder: Path, crl: str = "", **how) -> SigningCertificates:
    (folder / "root.pem").write_text(ROOT.pem)
    (folder / "list.pem").write_text(crl)
    settings = {"chain": "anchors", "crl_policy": "try"} | how
    return SigningCertificates([folder / "root.pem"], [folder / "list.pem"] if crl else [], **settings)


def test_station_that_woke_in_1970(tmp_path: Path) -> None:
    """Without a clock a certificate of today passes with a warning, and one that expired before the build does not."""
    waking = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    station = certificates(tmp_path)
    with structlog.testing.capture_logs() as lines:
        assert station.check(LEAF.pem, waking) == LEAF.certificate
    assert any("the clock says 1970-01-01" in line["event"] for line in lines)
    expired = ROOT.issue(not_after=BUILT - timedelta(seconds=1))
    with pytest.raises(CertificateError, match="expired on"):
        station.check(expired.pem, waking)


def test_policy_is_passed_on(tmp_path: Path) -> None:
    """The station's word on missing lists is the one that counts."""
    out_of_date = ROOT.crl(last_update=BUILT - timedelta(days=9), next_update=BUILT - timedelta(days=1))
    assert certificates(tmp_path, out_of_date).check(LEAF.pem, BUILT) == LEAF.certificate
    required = certificates(tmp_path, out_of_date, crl_policy="require")
    with pytest.raises(CertificateError, match=r"out of date.*firmware\.crl_policy"):
        required.check(LEAF.pem, BUILT)
