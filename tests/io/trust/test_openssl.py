"""Chains and lists made with the openssl command: its verdict on them, and so EVerest's, is ours."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from support.openssl_ca import AUTHORITY, OpensslCa, accepts

from everest_system.io.trust.trust import Trust
from everest_system.io.trust.verification_error import CertificateError

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
OVER, AHEAD = {"end": "20260531000000Z"}, {"start": "20260701000000Z"}
SIGNERS = {
    "plain": {},
    "for signatures": {"extensions": "keyUsage = critical, digitalSignature\nextendedKeyUsage = codeSigning"},
    "expired": OVER,
    "not begun": AHEAD,
    "rsa": {"key": "rsa:2048"},
    "rsa for pss": {"key": "rsa-pss:2048"},
    "weak rsa": {"key": "rsa:1024"},
    "p224": {"key": "P-224"},
    "p384": {"key": "P-384"},
    "p521": {"key": "P-521"},
    "brainpool": {"key": "brainpoolP256r1"},
    "weak curve": {"key": "secp160r1"},
    "sha1": {"digest": "sha1"},
    "sha512": {"digest": "sha512"},
    "unknown critical": {"extensions": "1.2.3.4 = critical, DER:0500"},
}
MIDDLES = {
    "plain": {},
    "expired": OVER,
    "not begun": AHEAD,
    "no CA": {"extensions": "basicConstraints = critical, CA:FALSE"},
    "not said": {"extensions": ""},
    "no keyCertSign": {"extensions": "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, cRLSign"},
    "rsa": {"key": "rsa:2048"},
    "rsa for pss": {"key": "rsa-pss:2048"},
    "weak rsa": {"key": "rsa:1024"},
    "sha1": {"digest": "sha1"},
    "no path below": {"extensions": AUTHORITY.replace("CA:TRUE", "CA:TRUE, pathlen:0")},
}
LISTS = ("none", "current", "signer revoked", "middle revoked", "out of date", "out of date above", "missing",
         "missing above", "of a namesake")  # fmt: skip
STRICTER = {
    "for servers": {"extensions": "extendedKeyUsage = serverAuth"},
    "for keys": {"extensions": "keyUsage = critical, keyEncipherment"},
    "ed25519": {"key": "ed25519"},
}
"""Signers that openssl takes, which does not ask what the key is used for; OCPP's A00.FR.512 and L01.FR.12 do."""


class Makers:
    """The certificates of the grid, each made once when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = OpensslCa.root(folder / "root")
        self.other = OpensslCa.root(folder / "other", "Other Root")
        self.namesake = OpensslCa.root(folder / "namesake")
        self.middle = cache(lambda kind: self.root.authority("Maker CA 1", **MIDDLES[kind]))
        self.signer = cache(lambda kind, middle: self.middle(middle).issue(**{**SIGNERS, **STRICTER}[kind]))

    def crls(self, kind: str, signer: str, middle: OpensslCa) -> list[str]:
        late = {"start": "20260401000000Z", "end": "20260501000000Z"}
        above: dict[str, Callable[[], str]] = {
            "middle revoked": lambda: self.root.crl(middle.certificate),
            "out of date above": lambda: self.root.crl(**late),
            "missing above": str,
            "of a namesake": self.namesake.crl,
        }
        below: dict[str, Callable[[], str]] = {
            "signer revoked": lambda: middle.crl(signer),
            "out of date": lambda: middle.crl(**late),
            "missing": str,
        }
        return [] if kind == "none" else [above.get(kind, self.root.crl)(), below.get(kind, middle.crl)()]

    def answer(self, chain: list[str], anchor: str, crls: list[str]) -> str:
        """Ours: `Accepted` or the word of the reply; lists are required where there are some."""
        (self.folder / "anchor.pem").write_text(anchor)
        (self.folder / "crls.pem").write_text("".join(crls))
        paths, policy = ([self.folder / "crls.pem"], "require") if crls else ([], "try")
        try:
            Trust([self.folder / "anchor.pem"], paths, crl_policy=policy).check("".join(chain), NOW)
        except CertificateError as error:
            return error.response
        return "Accepted"

    def judge(self, chain: list[str], anchor: str, crls: list[str]) -> str:
        """Ask both; they agree, in whatever order the chain comes, and the answer is ours."""
        theirs = accepts(self.folder, chain, anchor, crls, NOW)
        ours = {self.answer(order, anchor, crls) for order in (chain, chain[::-1])}
        assert len(ours) == 1
        assert ("Accepted" in ours) == theirs
        return ours.pop()


@pytest.fixture(scope="module")
def makers(tmp_path_factory) -> Makers:
    return Makers(tmp_path_factory.mktemp("openssl"))


@pytest.mark.parametrize("kind", SIGNERS)
def test_signers(makers: Makers, kind: str) -> None:
    """Every kind of signing certificate: openssl's verdict is ours."""
    chain = [makers.signer(kind, "plain"), makers.middle("plain").certificate]
    bad = {"expired", "not begun", "weak rsa", "weak curve", "sha1", "unknown critical"}
    assert makers.judge(chain, makers.root.certificate, []) == ("InvalidCertificate" if kind in bad else "Accepted")
    assert makers.judge(chain, makers.other.certificate, []) == "InvalidCertificate"
    assert makers.judge(chain, makers.namesake.certificate, []) == "InvalidCertificate"


@pytest.mark.parametrize("kind", MIDDLES)
def test_intermediates(makers: Makers, kind: str) -> None:
    """Every kind of intermediate, with one CA more below it and without: openssl's verdict is ours."""
    middle = makers.middle(kind)
    good = kind in ("plain", "rsa", "rsa for pss", "no path below")
    chain = [makers.signer("plain", kind), middle.certificate]
    assert makers.judge(chain, makers.root.certificate, []) == ("Accepted" if good else "InvalidCertificate")
    lower = middle.authority("Maker CA 2")
    chain = [lower.issue("Leaf"), lower.certificate, middle.certificate]
    good = kind in ("plain", "rsa", "rsa for pss")
    assert makers.judge(chain, makers.root.certificate, []) == ("Accepted" if good else "InvalidCertificate")


def test_missing_intermediate(makers: Makers) -> None:
    """A chain with a gap is refused, whichever certificate is left out."""
    lower = makers.middle("plain").authority("Maker CA 2")
    signer = lower.issue("Leaf")
    for rest in ([], [lower.certificate], [makers.middle("plain").certificate]):
        assert makers.judge([signer, *rest], makers.root.certificate, []) == "InvalidCertificate"


@pytest.mark.parametrize("lists", LISTS)
def test_lists(makers: Makers, lists: str) -> None:
    """Every state of the lists, required for the whole chain, over chains good and bad: openssl's verdict is ours."""
    for signer, middle in (("plain", "plain"), ("expired", "plain"), ("plain", "no CA")):
        certificate, authority = makers.signer(signer, middle), makers.middle(middle)
        crls = makers.crls(lists, certificate, authority)
        answer = makers.judge([certificate, authority.certificate], makers.root.certificate, crls)
        if (signer, middle) == ("plain", "plain"):
            revoked = "RevokedCertificate" if "revoked" in lists else "InvalidCertificate"
            assert answer == ("Accepted" if lists in ("none", "current") else revoked)
        else:
            assert answer == "InvalidCertificate"


@pytest.mark.parametrize(
    "how",
    [{}, OVER, {"key": "rsa:2048"}, {"key": "rsa-pss:2048"}, {"digest": "sha1"}],
    ids=["", "expired", "rsa", "pss", "sha1"],
)
def test_root_that_signs_by_itself(makers: Makers, tmp_path: Path, how: dict[str, str]) -> None:
    """EVerest's test setup, a self-signed root as signing certificate: openssl's verdict is ours, revoked or not."""
    root = OpensslCa.root(tmp_path / "root", **how)
    good = "InvalidCertificate" if how == OVER else "Accepted"
    assert makers.judge([root.certificate], root.certificate, []) == good
    assert makers.judge([root.certificate], root.certificate, [root.crl()]) == good
    revoked = "InvalidCertificate" if how == OVER else "RevokedCertificate"
    assert makers.judge([root.certificate], root.certificate, [root.crl(root.certificate)]) == revoked


@pytest.mark.parametrize("kind", STRICTER)
def test_stricter(makers: Makers, kind: str) -> None:
    """Keys that are for something else than signing firmware are refused, though openssl does not ask."""
    chain = [makers.signer(kind, "plain"), makers.middle("plain").certificate]
    assert accepts(makers.folder, chain, makers.root.certificate, [], NOW)
    assert makers.answer(chain, makers.root.certificate, []) == "InvalidCertificate"
