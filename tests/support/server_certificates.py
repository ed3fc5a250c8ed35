"""Certificates of TLS servers, issued by the tests' own authorities, as files that a server program reads."""

from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from support.http_server import Certificate
from support.pki import Issuer, private_key

LONG_AGO = datetime(2021, 1, 1, tzinfo=UTC)
SOME_DAY = datetime(2048, 1, 1, tzinfo=UTC)


def certificate(
    folder: Path, issuer: Issuer | None, *names: str, chain: tuple[Issuer, ...] = (), **how: Any
) -> Certificate:
    """Issue a certificate and write it and its key into a folder.

    Args:
        folder: is made where it is not there.
        issuer: who signs; None: nobody but its own key.
        names: host names and addresses that it is for, 127.0.0.1 where none is given.
        chain: certificates to write behind it.
        how: as in `Issuer.issue`.
    """
    folder.mkdir(exist_ok=True)
    names = names or ("127.0.0.1",)
    alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    key = private_key("p256", f"TLS {names[0]}")
    make = issuer.issue if issuer else lambda *given, **more: Issuer.root(*given, **{"ca": False, **more})
    made = make(names[0], key=key, extensions=[(alternatives, False), (usage, False)], **how)
    files = Certificate(folder / "tls.crt", folder / "tls.key")
    files.cert_file.write_text("".join(each.pem for each in (made, *chain)))
    files.key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
