"""What we show of ourselves, looked at before a server sees it: a client certificate with its key, a key for SFTP.

libcurl would ask a terminal for a passphrase, where no cancel reaches it, and calls whatever is wrong with a key of
SFTP's a wrong password.
"""

import base64
import re
import ssl
from pathlib import Path
from typing import Final

from everest_system.fsm.errors import WorldError

_MAX_BYTES: Final = 1024 * 1024
_PEM: Final = re.compile(rb"-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)
_OPENSSH: Final = b"openssh-key-v1\0"
_NO_CIPHER: Final = b"\0\0\0\x04none"


class PrivateKeyError(WorldError):
    """A private key, or the certificate of one, cannot be used; the message names the file."""


def check_client_certificate(certificate: Path, key: Path | None) -> None:
    """Return if a certificate and its key can be shown to a server.

    Args:
        certificate: PEM; the certificates that vouch for it may follow.
        key: PEM; None: it stands in the certificate's file.

    Raises:
        PrivateKeyError: one of them cannot be read, or has a passphrase, or they do not belong together.
    """
    key = key or certificate
    _read(certificate)
    _read(key)
    asked = False

    def passphrase() -> str:
        nonlocal asked
        asked = True
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, passphrase)
    except ssl.SSLError as error:
        if asked:
            raise PrivateKeyError(f"{key} has a passphrase, which nobody can type: take it off") from None
        if error.reason == "KEY_VALUES_MISMATCH":
            raise PrivateKeyError(f"{key} is not the key of {certificate}") from None
        raise PrivateKeyError(f"{certificate} is no PEM certificate, or {key} is no PEM key") from None


def check_ssh_key(file: Path) -> None:
    """Return if a file holds a private key to log in with over SFTP, in PEM or in OpenSSH's form.

    Raises:
        PrivateKeyError: it cannot be read, is something else, or has a passphrase.
    """
    found = _PEM.search(_read(file))
    if found is None:
        raise PrivateKeyError(f"{file} is no private key in PEM or in OpenSSH's form")
    kind, body = found.groups()
    encrypted = kind.startswith(b"ENCRYPTED") or b"ENCRYPTED" in body
    if kind.startswith(b"OPENSSH"):
        try:
            inner = base64.b64decode(body)
        except ValueError:
            raise PrivateKeyError(f"{file} is a broken private key") from None
        encrypted = not inner.startswith(_OPENSSH + _NO_CIPHER)
    if encrypted:
        raise PrivateKeyError(f"{file} has a passphrase, which nobody can type: take it off with ssh-keygen -p")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_MAX_BYTES)
    except OSError as error:
        raise PrivateKeyError(f"cannot read {file}: {error.strerror}") from None
