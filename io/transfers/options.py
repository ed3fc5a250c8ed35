"""How libcurl is set up for a URL: what holds for every protocol, and what each one wants besides.

Each handle speaks the one scheme of its URL and no other, follows no redirect, asks for no content coding and looks
into no file of the user's (`.netrc`, `.ssh`). User and password are taken out of the URL before libcurl sees it, so
that no message of libcurl's can hold them. Proxies come from the environment, as libcurl reads it: `http_proxy` (in
lower case only), `https_proxy`, `ftp_proxy`, `all_proxy`, `no_proxy`; all but plain HTTP goes through them in a tunnel.

Importing this module loads libcurl.
"""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pycurl

from everest_system.fsm.errors import WorldError
from everest_system.io.transfers.credentials_file import find
from everest_system.io.transfers.known_hosts import KnownHosts
from everest_system.io.transfers.outcomes import Own
from everest_system.io.transfers.private_keys import check_client_certificate, check_ssh_key
from everest_system.io.transfers.roots import roots
from everest_system.io.transfers.transfer import TransferError, TransferSettings
from everest_system.io.transfers.url import credentials, without_userinfo

PROTOCOLS: Final[Mapping[str, int]] = {
    "http": pycurl.PROTO_HTTP,
    "https": pycurl.PROTO_HTTPS,
    "ftp": pycurl.PROTO_FTP,
    "ftps": pycurl.PROTO_FTPS,
    "sftp": pycurl.PROTO_SFTP,
    "file": pycurl.PROTO_FILE,
}
"""The schemes that the engine speaks."""

WEB: Final = frozenset({"http", "https"})

_BUFFER: Final = 512 * 1024
_SUPPRESS_CONNECT_HEADERS: Final = 265  # pycurl has no name for it; a proxy's head is not the server's
_FTP_TLS: Final = {"try": pycurl.USESSL_TRY, "require": pycurl.USESSL_ALL, "never": pycurl.USESSL_NONE}
_SSH_PORT: Final = 22


def set_up(easy: Any, url: str, settings: TransferSettings, trust: Callable[[WorldError], None]) -> None:
    """Set a fresh handle up for a URL.

    Args:
        easy: a `pycurl.Curl`.
        url: as `url.location` returned it, with a scheme of `PROTOCOLS`.
        settings: how to transfer.
        trust: told why an SFTP server is not trusted, before libcurl gives up.

    Raises:
        TransferError: a file that the settings name cannot be used.
    """
    scheme = urlsplit(url).scheme
    try:
        _common(easy, url, scheme, settings)
        _pace(easy, settings)
        _log_in(easy, url, scheme, settings)
        if scheme in {"ftp", "ftps"}:
            _ftp(easy, scheme, settings)
        if scheme == "sftp":
            _sftp(easy, url, settings, trust)
        if scheme == "file":
            _plain_file(url)
        else:
            _tls(easy, settings)
    except TransferError:
        raise
    except OSError as error:
        raise TransferError(url, f"cannot read {error.filename}: {error.strerror}", Own.FILES.meaning) from None
    except WorldError as error:
        raise TransferError(url, str(error), Own.FILES.meaning) from None


def _common(easy: Any, url: str, scheme: str, settings: TransferSettings) -> None:
    bare = without_userinfo(url)
    if scheme in {"ftp", "ftps"}:
        # A type code would have libcurl list a folder or change line ends.
        bare = re.sub(r";type=i$", "", bare, flags=re.IGNORECASE).replace(";", "%3B")
    easy.setopt(pycurl.URL, bare)
    easy.setopt(pycurl.PROTOCOLS, PROTOCOLS[scheme])
    easy.setopt(pycurl.NOSIGNAL, 1)
    easy.setopt(pycurl.FOLLOWLOCATION, 0)
    easy.setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
    easy.setopt(pycurl.USERAGENT, "everest-system")
    # One connection carries one file: HTTP/2 would add its windows and nothing else.
    easy.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    easy.setopt(_SUPPRESS_CONNECT_HEADERS, 1)
    easy.setopt(pycurl.CONNECTTIMEOUT_MS, math.ceil(settings.connect_timeout_s * 1000))
    easy.setopt(pycurl.EXPECT_100_TIMEOUT_MS, 1000)
    if scheme != "http":
        # Else a proxy would be asked for ftp:// in HTTP's words, and answer in them.
        easy.setopt(pycurl.HTTPPROXYTUNNEL, 1)


def _pace(easy: Any, settings: TransferSettings) -> None:
    rate = settings.rate_limit_kbps * 1000 // 8
    # libcurl pauses after each buffer; one that holds many seconds' worth would look like a stall.
    buffer = min(_BUFFER, max(1024, rate)) if rate else _BUFFER
    easy.setopt(pycurl.BUFFERSIZE, buffer)
    easy.setopt(pycurl.UPLOAD_BUFFERSIZE, max(16 * 1024, buffer))
    easy.setopt(pycurl.MAX_RECV_SPEED_LARGE, rate)
    easy.setopt(pycurl.MAX_SEND_SPEED_LARGE, rate)


def _log_in(easy: Any, url: str, scheme: str, settings: TransferSettings) -> None:
    user, password = credentials(url) or (b"", b"")
    if settings.credentials_file and not password and scheme != "file":
        found = find(settings.credentials_file, urlsplit(url).hostname or "")
        if found and user in {b"", found[0].encode()}:
            user, password = found[0].encode(), found[1].encode()
    if user or password:
        easy.setopt(pycurl.HTTPAUTH, pycurl.HTTPAUTH_BASIC)
        easy.setopt(pycurl.USERNAME, user)
        easy.setopt(pycurl.PASSWORD, password)


def _tls(easy: Any, settings: TransferSettings) -> None:
    # Also for what has no TLS of its own: a proxy may speak it.
    trusted = roots(settings.ca_files)
    for version, peer, host, blob in (
        (pycurl.SSLVERSION, pycurl.SSL_VERIFYPEER, pycurl.SSL_VERIFYHOST, pycurl.CAINFO_BLOB),
        (pycurl.PROXY_SSLVERSION, pycurl.PROXY_SSL_VERIFYPEER, pycurl.PROXY_SSL_VERIFYHOST, pycurl.PROXY_CAINFO_BLOB),
    ):
        easy.setopt(version, pycurl.SSLVERSION_TLSv1_2)
        easy.setopt(peer, 1)
        easy.setopt(host, 2)
        if trusted:
            easy.setopt(blob, trusted)
    if settings.client_cert_file:
        check_client_certificate(settings.client_cert_file, settings.client_key_file)
        easy.setopt(pycurl.SSLCERT, str(settings.client_cert_file))
    if settings.client_key_file:
        easy.setopt(pycurl.SSLKEY, str(settings.client_key_file))


def _ftp(easy: Any, scheme: str, settings: TransferSettings) -> None:
    easy.setopt(pycurl.USE_SSL, pycurl.USESSL_ALL if scheme == "ftps" else _FTP_TLS[settings.ftp_tls])
    easy.setopt(pycurl.FTP_SKIP_PASV_IP, 1)  # nobody sends us to a host of their choice


def _sftp(easy: Any, url: str, settings: TransferSettings, trust: Callable[[WorldError], None]) -> None:
    parts = urlsplit(url)
    hosts = KnownHosts(settings.known_hosts_file or Path.home() / ".ssh" / "known_hosts", settings.keep_new_hosts)

    def check(_kind: int, key: bytes) -> int:
        try:
            hosts.check(parts.hostname or "", parts.port or _SSH_PORT, key)
        except WorldError as error:
            trust(error)
            return 1
        return 0

    easy.setopt(pycurl.SSH_HOSTKEYFUNCTION, check)
    # libcurl looks in there for the kind of key to ask for; whether the key is the right one, we say.
    easy.setopt(pycurl.SSH_KNOWNHOSTS, str(hosts.file))
    ways = pycurl.SSH_AUTH_PASSWORD | pycurl.SSH_AUTH_KEYBOARD
    if settings.sftp_key_file:
        check_ssh_key(settings.sftp_key_file)
        ways |= pycurl.SSH_AUTH_PUBLICKEY
        easy.setopt(pycurl.SSH_PRIVATE_KEYFILE, str(settings.sftp_key_file))
    easy.setopt(pycurl.SSH_AUTH_TYPES, ways)


def _plain_file(url: str) -> None:
    # libcurl would list a folder, and wait for whoever opens the other end of a pipe.
    path = Path(unquote(urlsplit(url).path))
    if path.exists() and not path.is_file():
        raise TransferError(url, f"{path} is no plain file", Own.FOLDER.meaning)
