"""The roots that TLS trusts: the system's CA bundle, and the configured files on top."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

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


def roots(ca_files: Iterable[Path]) -> bytes:
    """Return the PEM text of all of them.

    Raises:
        OSError: a file cannot be read.
    """
    bundle = system_bundle()
    return b"\n".join(path.read_bytes() for path in ((bundle,) if bundle else ()) + tuple(ca_files))
