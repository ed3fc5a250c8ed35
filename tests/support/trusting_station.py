"""A station's folders of anchors and CRLs, and a manufacturer's chain to try on them."""

from datetime import datetime
from pathlib import Path

from support.pki import NOW, Issuer

from everest_system.io.trust.trust import Trust
from everest_system.io.trust.verification_error import CertificateError

ROOT = Issuer.root()
MIDDLE = ROOT.issue("Maker CA 1", ca=True)
LEAF = MIDDLE.issue()
CHAIN = LEAF.pem + MIDDLE.pem


class TrustingStation:
    """A folder of anchors and one of CRLs, and the trust that reads them; `warnings` collects what it says."""

    def __init__(self, folder: Path, chain: str = "anchors", **how: object) -> None:
        self.anchors, self.crls = folder / "anchors", folder / "crls"
        self.anchors.mkdir()
        self.crls.mkdir()
        self.warnings: list[str] = []
        self.trust = Trust([self.anchors], [self.crls], chain, self.warnings.append, **how)
        self.put(ROOT)

    def put(self, issuer: Issuer, name: str = "root.pem") -> None:
        (self.anchors / name).write_text(issuer.pem)

    def revoke(self, text: str, name: str = "list.crl") -> None:
        (self.crls / name).write_text(text)

    def answer(self, pem: str = CHAIN, now: datetime = NOW) -> str:
        """`Accepted`, or the word of the refusal."""
        try:
            self.trust.check(pem, now)
        except CertificateError as error:
            return error.response
        return "Accepted"
