"""A manufacturer's CA kept with the `openssl` command alone, and its opinion on a chain.

    root = OpensslCa.root(folder / "root")
    middle = root.authority("Maker CA 1")                           # a CA below it, in a folder of its own
    signer = middle.issue("Maker firmware", "rsa:2048", extensions="keyUsage = digitalSignature")
    crl = middle.crl(signer)
    accepts(folder, [signer, middle.certificate], root.certificate, [crl], at=NOW)

Everything is a PEM text; what is signed for a certificate lies in the CA's folder beside it.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from support.peers import program, require

AUTHORITY = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign"
_CONFIG = """
[ca]
default_ca = kept
[kept]
database = index.txt
new_certs_dir = .
serial = serial
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_crl_days = 30
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = asked
[asked]
"""
_numbers = count()


def openssl(folder: Path, *argv: str) -> str:
    """Run the command; give back what it prints, or skip the test where it is not on the machine."""
    command = require("openssl", program("openssl"), "certificates made and judged by somebody else")
    done = subprocess.run([command, *argv], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class OpensslCa:
    """One CA in its folder: `ca.key`, `ca.pem`, and the database of `openssl ca`."""

    folder: Path

    @classmethod
    def root(cls, folder: Path, name: str = "Maker Root", key: str = "P-256", **how: str) -> "OpensslCa":
        """Make a self-signed CA; `how` as in `issue`."""
        ca = cls(folder)
        ca._prepare()
        request = ca._request(name, key, folder / "ca.key")
        (folder / "ca.pem").write_text(ca._sign(request, **{"extensions": AUTHORITY, **how}, selfsign=True))
        return ca

    def authority(self, name: str, key: str = "P-256", **how: str) -> "OpensslCa":
        """Make a CA below this one; `how` as in `issue`."""
        ca = OpensslCa(self.folder / f"{next(_numbers)}")
        ca._prepare()
        request = ca._request(name, key, ca.folder / "ca.key")
        (ca.folder / "ca.pem").write_text(self._sign(request, **{"extensions": AUTHORITY, **how}))
        return ca

    def issue(self, name: str = "Maker firmware", key: str = "P-256", **how: str) -> str:
        """Issue a certificate.

        Args:
            name: the common name of its subject.
            key: a curve, or `rsa:2048`, `rsa-pss:2048`, `ed25519`.
            how: `extensions` as lines of an openssl configuration; `start`, `end` as YYYYMMDDHHMMSSZ; `digest`.
        """
        return self._sign(self._request(name, key, self.folder / f"{next(_numbers)}.key"), **how)

    def crl(self, *revoked: str, start: str = "20260501000000Z", end: str = "20260701000000Z") -> str:
        """Make a list that names these certificates and no others."""
        (self.folder / "index.txt").write_text("")
        for certificate in revoked:
            (self.folder / "revoked.pem").write_text(certificate)
            self._openssl("ca", "-config", "ca.cnf", "-batch", "-revoke", "revoked.pem")
        dates = ["-crl_lastupdate", start, "-crl_nextupdate", end]
        return self._openssl("ca", "-config", "ca.cnf", "-batch", "-gencrl", *dates)

    @property
    def certificate(self) -> str:
        return (self.folder / "ca.pem").read_text()

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "ca.cnf").write_text(_CONFIG)
        (self.folder / "index.txt").write_text("")

    def _request(self, name: str, key: str, key_file: Path) -> Path:
        file = key_file.with_suffix(".csr")
        kind, _, bits = key.partition(":")
        made = {
            "rsa": ["-newkey", f"rsa:{bits}"],
            "rsa-pss": ["-newkey", "rsa-pss", "-pkeyopt", f"rsa_keygen_bits:{bits}"],
            "ed25519": ["-newkey", "ed25519"],
        }.get(kind, ["-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{kind}"])
        subject = ["-subj", f"/CN={name}", "-config", "ca.cnf"]
        self._openssl("req", "-new", *made, "-nodes", "-keyout", f"{key_file}", "-out", f"{file}", *subject)
        return file

    def _sign(
        self,
        request: Path,
        *,
        extensions: str = "",
        start: str = "20200101000000Z",
        end: str = "20490101000000Z",
        digest: str = "sha256",
        selfsign: bool = False,
    ) -> str:
        (self.folder / "extensions.cnf").write_text(f"[here]\n{extensions}\n")
        argv = ["ca", "-config", "ca.cnf", "-batch", "-notext", "-rand_serial", "-md", digest]
        argv += ["-in", f"{request}", "-startdate", start, "-enddate", end, *(["-selfsign"] if selfsign else [])]
        return self._openssl(*argv, "-extfile", "extensions.cnf", "-extensions", "here")

    def _openssl(self, *argv: str) -> str:
        return openssl(self.folder, *argv)


def accepts(folder: Path, chain: Sequence[str], anchor: str, crls: Sequence[str], at: datetime) -> bool:
    """Tell whether `openssl verify` accepts a chain, signer first, at 112 bits of security.

    Args:
        folder: where to put the files for it.
        chain: certificates as PEM.
        anchor: the root that is trusted.
        crls: lists as PEM; where there are some, each certificate needs one.
        at: the time to judge by.
    """
    (folder / "anchor").write_text(anchor + "".join(crls))
    (folder / "untrusted").write_text("".join(chain[1:]))
    (folder / "signer").write_text(chain[0])
    command = require("openssl", program("openssl"), "chains judged by somebody else")
    argv = [command, "verify", "-auth_level", "2", "-attime", f"{int(at.timestamp())}", "-CAfile", "anchor"]
    argv += ["-untrusted", "untrusted"] if chain[1:] else []
    argv += [*(["-crl_check_all"] if crls else []), "signer"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, timeout=60)
    assert done.returncode in (0, 2), done.stderr
    return done.returncode == 0
