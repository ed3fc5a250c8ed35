"""A certificate authority for TLS peers on this machine."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """A root of its own that issues certificates into a folder.

    Example:
        authority = Authority(tmp_path)
        cert_file, key_file = authority.issue("localhost")
        context.load_verify_locations(authority.ca_file)
    """

    def __init__(self, folder: Path, name: str = "root") -> None:
        self._folder = folder
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        root = self._certificate(self._name, self._key.public_key(), is_root=True)
        self.ca_file = str(self._write(f"{name}.pem", root.public_bytes(serialization.Encoding.PEM)))

    def issue(self, host: str, passphrase: bytes | None = None) -> tuple[str, str]:
        """Write a certificate for a host name or address, and its key; return the two paths."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(_name(host), key.public_key(), host=host)
        encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        cert_file = self._write(f"{host}.crt", certificate.public_bytes(serialization.Encoding.PEM))
        key_file = self._write(
            f"{host}.key",
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption),
        )
        return str(cert_file), str(key_file)

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, host: str = "", *, is_root: bool = False
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        usage = {
            "digital_signature": not is_root,
            "key_cert_sign": is_root,
            "crl_sign": is_root,
        } | dict.fromkeys(
            (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, content: bytes) -> Path:
        file = self._folder / name
        file.write_bytes(content)
        return file


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
