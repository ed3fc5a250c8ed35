"""The roots that TLS trusts: the system's CA bundle, and the configured files on top."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from everest_system.fsm.errors import WorldError

_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Yocto
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine
)


def system_bundle() -> Path | None:
    """Return the system's CA bundle; a libcurl that comes in a wheel does not know where this system keeps it."""
    known = ssl.get_default_verify_paths().cafile
    return next((path for path in map(Path, (known, *_BUNDLES) if known else _BUNDLES) if path.is_file()), None)


class RootsError(WorldError):
    """A configured file of roots cannot be used; the message names it."""


def check_roots(file: Path) -> None:
    """Return if a configured file holds roots, all of which can be read.

    Raises:
        RootsError: it cannot be read, or holds no certificate in PEM, or a broken one.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError as error:
        # libcurl passes by what is no PEM, and trusts nobody for it.
        none = error.reason == "NO_CERTIFICATE_OR_CRL_FOUND"
        raise RootsError(f"{file} {'has no' if none else 'has a broken'} certificate in PEM") from None
    except OSError as error:
        raise RootsError(f"cannot read {file}: {error.strerror}") from None


def roots(ca_files: Iterable[Path]) -> bytes:
    """Return the PEM text of all of them.

    Raises:
        RootsError: a configured file cannot be used.
        OSError: a file cannot be read.
    """
    bundle, ca_files = system_bundle(), tuple(ca_files)
    for file in ca_files:
        check_roots(file)
    return b"\n".join(path.read_bytes() for path in ((bundle,) if bundle else ()) + ca_files)
