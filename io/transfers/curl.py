"""The engine under both directions: one libcurl handle at a time, driven so that it can be canceled.

An `Engine` lives for one attempt. Each `exchange` is one request on it: set up from the settings, driven in steps of at
most 100 ms, ended by its answer, an error, the cancel event, a stall or the attempt's deadline. Connections are kept
from one exchange to the next.

It follows no redirect and judges no HTTP status: that is for its callers, who see the head of each answer before the
body. It speaks only the URL's own scheme, TLS from 1.2 on, and checks certificates and host names. User and password
are taken out of the URL before libcurl sees it, so that no message of libcurl's can hold them.

Importing this module loads libcurl; import it when there is something to transfer.
"""

import math
import re
import ssl
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import pycurl

from everest_system.fsm.errors import CanceledError
from everest_system.io.transfers.transfer import (
    FAILED,
    UNSUPPORTED,
    Meaning,
    TransferError,
    TransferSettings,
    curl_meaning,
    http_meaning,
)
from everest_system.io.transfers.url import credentials, without_userinfo

PROTOCOLS: Final[Mapping[str, int]] = {
    "http": pycurl.PROTO_HTTP,
    "https": pycurl.PROTO_HTTPS,
    "ftp": pycurl.PROTO_FTP,
}
"""The schemes that the engine speaks."""

STEP_S: Final = 0.1
"""The longest wait between two looks at the cancel event."""

_BUFFER: Final = 512 * 1024
_HEADERS_MAX: Final = 64 * 1024
_FIELD_MAX: Final = 8192
_FIELDS: Final = frozenset(
    {
        "content-length",
        "content-range",
        "date",
        "etag",
        "last-modified",
        "location",
        "retry-after",
        "transfer-encoding",
    }
)
_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Yocto
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine
)
_STATUS_LINE: Final = re.compile(rb"HTTP/[0-9.]+ ([0-9]{3})\b")
_SUPPRESS_CONNECT_HEADERS: Final = 265  # pycurl has no name for it; a proxy's head is not the server's
_FTP_TLS: Final = {"try": pycurl.USESSL_TRY, "require": pycurl.USESSL_ALL, "never": pycurl.USESSL_NONE}


@dataclass(frozen=True)
class Head:
    """The head of an HTTP answer: its status and those of its fields that matter here, names in lower case."""

    status: int
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """How an exchange ended.

    Attributes:
        status: the HTTP status, or the last FTP answer.
        head: the head of an HTTP answer.
        length: bytes announced by an FTP server, -1 when it did not say.
        file_time: Unix time of an FTP server's file, -1 when it did not say.
        sent: bytes of body sent.
    """

    status: int
    head: Head | None
    length: int
    file_time: int
    sent: int


class CurlError(TransferError):
    """libcurl gave an exchange up, or we did: refused, broken, stalled, out of time.

    Attributes:
        code: libcurl's number, 0 when the engine itself gave up.
        head: the head of the answer, if one had come before that.
    """

    def __init__(self, url: str, cause: str, meaning: Meaning, *, code: int = 0, head: Head | None = None) -> None:
        super().__init__(url, cause, meaning)
        self.code, self.head = code, head


@dataclass
class _Exchange:
    """What one exchange has seen so far; libcurl's callbacks write here."""

    url: str
    web: bool
    on_head: Callable[[Head], bool]
    on_body: Callable[[bytes], bool | None]
    status: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    head: Head | None = None
    header_bytes: int = 0
    body_bytes: int = 0
    ended: bool = False
    failure: Exception | None = None

    def header(self, line: bytes) -> int | None:
        """Take one header line; anything but None ends the transfer."""
        # An exception that left this callback would be printed by pycurl and forgotten.
        try:
            return self._header(line)
        except Exception as error:  # noqa: BLE001
            self.failure = error
            return 0

    def _header(self, line: bytes) -> int | None:
        self.header_bytes += len(line)
        if self.header_bytes > _HEADERS_MAX:
            raise CurlError(self.url, "the server's answer has too long a head", FAILED)
        if not self.web:
            return None
        text = line.strip()
        if status := _STATUS_LINE.match(line):
            # Also after an interim or a withdrawn answer (100, 417): the last head counts.
            self.status, self.fields, self.head = int(status[1]), {}, None
        elif self.head is None and text:
            name, _, value = text.partition(b":")
            key = name.decode("latin-1").lower()
            if key in _FIELDS:
                self.fields[key] = _text(value.strip()[:_FIELD_MAX])
        elif self.head is None and self.status >= 200:
            self.head = Head(self.status, self.fields)
            if not self.on_head(self.head):
                self.ended = True
                return 0
        return None

    def body(self, chunk: bytes) -> int | None:
        """Take a piece of the body; anything but None ends the transfer."""
        self.body_bytes += len(chunk)
        try:
            if self.on_body(chunk) is not False:
                return None
            self.ended = True
        except Exception as error:  # noqa: BLE001 - as above
            self.failure = error
        return 0


class Engine:
    """One attempt's hold on libcurl; a context manager.

    Args:
        settings: how to transfer.
        schemes: the schemes allowed.
        canceled: set from any thread, ends what is under way within 200 ms.
        attempt_timeout_s: how long all exchanges together may take; None: no limit.
    """

    def __init__(
        self,
        settings: TransferSettings,
        schemes: Collection[str],
        canceled: threading.Event,
        attempt_timeout_s: float | None = None,
    ) -> None:
        self._settings, self._schemes, self._canceled = settings, schemes, canceled
        self._deadline = math.inf if attempt_timeout_s is None else time.monotonic() + attempt_timeout_s
        self._multi = pycurl.CurlMulti()
        self._resolving = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._resolving:
            # libcurl waits here for the system's resolver to give up, which may take many seconds.
            threading.Thread(target=self._multi.close, name="curl-close", daemon=True).start()
        else:
            self._multi.close()

    def exchange(
        self,
        url: str,
        options: Mapping[int, Any],
        *,
        on_head: Callable[[Head], bool] = lambda _: True,
        on_body: Callable[[bytes], bool | None] = lambda _: None,
        on_step: Callable[[int], None] = lambda _: None,
    ) -> Answer:
        """Do one request and return its answer.

        Args:
            url: as `location` returned it.
            options: libcurl options on top of the engine's own.
            on_head: called with the head of an HTTP answer (not interim ones); False ends the exchange there, well.
            on_body: called with each piece of the body, up to 16 KiB; False ends the exchange there, well.
            on_step: called at each step, at least ten times a second, with the bytes of body sent so far.

        Raises:
            CurlError: it failed.
            CanceledError: the cancel event was set.
            Exception: whatever a callback raised.
        """
        scheme = urlsplit(url).scheme
        if scheme not in PROTOCOLS or scheme not in self._schemes:
            raise CurlError(url, "this scheme is not supported", UNSUPPORTED)
        state = _Exchange(url, scheme in {"http", "https"}, on_head, on_body)
        easy = pycurl.Curl()
        try:
            self._set_up(easy, url, state)
            for option, value in options.items():
                easy.setopt(option, value)
            self._multi.add_handle(easy)
            try:
                self._drive(easy, url, state, on_step)
                self._judge(easy, url, state)
            finally:
                self._resolving = easy.getinfo(pycurl.NAMELOOKUP_TIME) == 0
                self._multi.remove_handle(easy)
            return Answer(
                status=easy.getinfo(pycurl.RESPONSE_CODE),
                head=state.head,
                length=int(easy.getinfo(pycurl.CONTENT_LENGTH_DOWNLOAD_T)),
                file_time=easy.getinfo(pycurl.INFO_FILETIME),
                sent=int(easy.getinfo(pycurl.SIZE_UPLOAD_T)),
            )
        except pycurl.error as error:
            raise CurlError(url, f"{_printable(str(error.args[-1]))} (curl {error.args[0]})", FAILED) from None
        finally:
            easy.close()

    def _set_up(self, easy: Any, url: str, state: _Exchange) -> None:
        settings, scheme = self._settings, urlsplit(url).scheme
        bare = without_userinfo(url)
        if scheme == "ftp":
            # A type code would have libcurl list a folder or change line ends.
            bare = re.sub(r";type=i$", "", bare, flags=re.IGNORECASE).replace(";", "%3B")
        easy.setopt(pycurl.URL, bare)
        easy.setopt(pycurl.PROTOCOLS, PROTOCOLS[scheme])
        easy.setopt(pycurl.NOSIGNAL, 1)
        easy.setopt(pycurl.FOLLOWLOCATION, 0)
        easy.setopt(pycurl.USERAGENT, "everest-system")
        # One connection carries one file: HTTP/2 would add its windows and nothing else.
        easy.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        easy.setopt(_SUPPRESS_CONNECT_HEADERS, 1)
        easy.setopt(pycurl.CONNECTTIMEOUT_MS, math.ceil(settings.connect_timeout_s * 1000))
        easy.setopt(pycurl.EXPECT_100_TIMEOUT_MS, 1000)
        if userinfo := credentials(url):
            easy.setopt(pycurl.HTTPAUTH, pycurl.HTTPAUTH_BASIC)
            easy.setopt(pycurl.USERNAME, userinfo[0])
            easy.setopt(pycurl.PASSWORD, userinfo[1])
        rate = settings.rate_limit_kbps * 1000 // 8
        # libcurl pauses after each buffer; one that holds many seconds' worth would look like a stall.
        buffer = min(_BUFFER, max(1024, rate)) if rate else _BUFFER
        easy.setopt(pycurl.BUFFERSIZE, buffer)
        easy.setopt(pycurl.UPLOAD_BUFFERSIZE, max(16 * 1024, buffer))
        easy.setopt(pycurl.MAX_RECV_SPEED_LARGE, rate)
        easy.setopt(pycurl.MAX_SEND_SPEED_LARGE, rate)
        easy.setopt(pycurl.HEADERFUNCTION, state.header)
        easy.setopt(pycurl.WRITEFUNCTION, state.body)
        if scheme == "ftp":
            easy.setopt(pycurl.USE_SSL, _FTP_TLS[settings.ftp_tls])
        if scheme == "https" or (scheme == "ftp" and settings.ftp_tls != "never"):
            self._set_up_tls(easy, url)

    def _set_up_tls(self, easy: Any, url: str) -> None:
        settings = self._settings
        easy.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        easy.setopt(pycurl.SSL_VERIFYPEER, 1)
        easy.setopt(pycurl.SSL_VERIFYHOST, 2)
        bundle = system_bundle()
        try:
            roots = [path.read_bytes() for path in ((bundle,) if bundle else ()) + settings.ca_files]
        except OSError as error:
            raise TransferError(url, f"cannot read {error.filename}: {error.strerror}", FAILED) from None
        if roots:
            easy.setopt(pycurl.CAINFO_BLOB, b"\n".join(roots))
        if settings.client_cert_file:
            easy.setopt(pycurl.SSLCERT, str(settings.client_cert_file))
        if settings.client_key_file:
            easy.setopt(pycurl.SSLKEY, str(settings.client_key_file))

    def _drive(self, easy: Any, url: str, state: _Exchange, on_step: Callable[[int], None]) -> None:
        stall_s = self._settings.stall_timeout_s or math.inf
        moved, since = (0, 0, 0), time.monotonic()
        while True:
            _, active = self._multi.perform()
            if state.failure:
                return
            if self._canceled.is_set():
                raise CanceledError
            now, sent = time.monotonic(), int(easy.getinfo(pycurl.SIZE_UPLOAD_T))
            if active and now >= self._deadline:
                raise CurlError(url, "the attempt took too long", FAILED)
            before, moved = moved, (state.header_bytes, state.body_bytes, sent)
            # Until the request goes out, the connect time-out watches.
            if moved != before or (not state.header_bytes and not easy.getinfo(pycurl.PRETRANSFER_TIME)):
                since = now
            elif active and now - since >= stall_s:
                raise CurlError(url, f"stalled: no byte for {stall_s:g} s", FAILED, head=state.head)
            on_step(sent)
            if not active:
                return
            self._wait(min(STEP_S, self._deadline - now, since + stall_s - now))

    def _wait(self, timeout_s: float) -> None:
        wanted_ms = self._multi.timeout()
        if wanted_ms >= 0:
            timeout_s = min(timeout_s, wanted_ms / 1000)
        if timeout_s > 0 and self._multi.select(timeout_s) < 0:
            self._canceled.wait(min(timeout_s, 0.01))  # nothing to wait on yet

    def _judge(self, easy: Any, url: str, state: _Exchange) -> None:
        if state.failure:
            raise state.failure
        _, _, failed = self._multi.info_read()
        if not failed or state.ended:
            return
        _, code, text = failed[0]
        cause = f"{_printable(text) or 'transfer failed'} (curl {code})"
        proxy_status = easy.getinfo(pycurl.HTTP_CONNECTCODE)
        if proxy_status // 100 in {4, 5}:
            raise CurlError(url, cause, http_meaning(proxy_status), code=code)
        answer = 0 if state.web else easy.getinfo(pycurl.RESPONSE_CODE)
        raise CurlError(url, cause, curl_meaning(code, answer), code=code, head=state.head)


def system_bundle() -> Path | None:
    """Return the system's CA bundle; a libcurl that comes in a wheel does not know where this system keeps it."""
    known = ssl.get_default_verify_paths().cafile
    return next((path for path in map(Path, (known, *_BUNDLES) if known else _BUNDLES) if path.is_file()), None)


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:200]).strip()
