"""The engine under both directions: one libcurl handle at a time, driven so that it can be canceled.

An `Engine` lives for one attempt. Each `exchange` is one request on it: set up from the settings, driven in steps of at
most 100 ms, ended by its answer, an error, the cancel event, a stall or the attempt's deadline. Connections are kept
from one exchange to the next.

It follows no redirect and judges no HTTP status: that is for its callers, who see the head of each answer before the
body. How libcurl is set up stands in `options`, what its errors mean in `outcomes`.

Importing this module loads libcurl; import it when there is something to transfer.
"""

import math
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import pycurl

from everest_system.fsm.errors import CanceledError, WorldError
from everest_system.io.transfers.connection import Connection
from everest_system.io.transfers.exchange import Answer, CurlError, Exchange, Head
from everest_system.io.transfers.options import PROTOCOLS, WEB, set_up
from everest_system.io.transfers.outcomes import FAILED, Curl, Own, curl_meaning, http_meaning
from everest_system.io.transfers.transfer import TransferSettings

STEP_S: Final = 0.1
"""The longest wait between two looks at the cancel event."""


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
        self._connection = Connection()
        self._stepped = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._connection.close()
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
            TransferError: a file that the settings name cannot be used.
            CanceledError: the cancel event was set.
            Exception: whatever a callback raised.
        """
        scheme = urlsplit(url).scheme
        if scheme not in PROTOCOLS or scheme not in self._schemes:
            raise CurlError(url, "this scheme is not supported", Own.SCHEME.meaning)
        state = Exchange(url, scheme in WEB, on_head, on_body)
        easy = pycurl.Curl()
        try:
            self._prepare(easy, url, state)
            for option, value in options.items():
                easy.setopt(option, value)
            self._multi.add_handle(easy)
            try:
                with nullcontext() if state.web else self._connection.watched(self._is_over):
                    self._drive(easy, url, state, on_step)
                self._judge(easy, url, scheme, state)
            except BaseException:
                self._connection.shut_down()
                raise
            finally:
                self._resolving = easy.getinfo(pycurl.NAMELOOKUP_TIME) == 0 and scheme != "file"
                self._multi.remove_handle(easy)
            return Answer(
                status=easy.getinfo(pycurl.RESPONSE_CODE),
                head=state.head,
                length=int(easy.getinfo(pycurl.CONTENT_LENGTH_DOWNLOAD_T)),
                file_time=easy.getinfo(pycurl.INFO_FILETIME),
                sent=int(easy.getinfo(pycurl.SIZE_UPLOAD_T)),
            )
        except pycurl.error as error:
            raise CurlError(url, _cause(str(error.args[-1]), error.args[0]), FAILED) from None
        finally:
            easy.close()

    def _prepare(self, easy: Any, url: str, state: Exchange) -> None:
        def distrust(error: WorldError) -> None:
            code = Curl.PEER_FAILED_VERIFICATION
            state.failure = CurlError(url, str(error), curl_meaning(code, "sftp"), code=code)

        set_up(easy, url, self._settings, distrust)
        easy.setopt(pycurl.HEADERFUNCTION, state.header)
        easy.setopt(pycurl.WRITEFUNCTION, state.body)

    def _is_over(self) -> bool:
        now, stall_s = time.monotonic(), self._settings.stall_timeout_s or math.inf
        # A second more than `_drive` takes to notice: this is for when libcurl does not return to it.
        return self._canceled.is_set() or now >= self._deadline or now - self._stepped >= stall_s + 1

    def _drive(self, easy: Any, url: str, state: Exchange, on_step: Callable[[int], None]) -> None:
        stall_s = self._settings.stall_timeout_s or math.inf
        moved, since = (0, 0, 0), time.monotonic()
        while True:
            self._stepped = time.monotonic()
            _, active = self._multi.perform()
            self._connection.hold(easy.getinfo(pycurl.ACTIVESOCKET))
            if state.failure:
                return
            if self._canceled.is_set():
                raise CanceledError
            now, sent = time.monotonic(), int(easy.getinfo(pycurl.SIZE_UPLOAD_T))
            if active and now >= self._deadline:
                raise CurlError(url, "the attempt took too long", Own.LATE.meaning)
            before, moved = moved, (state.header_bytes, state.body_bytes, sent)
            # Until the request goes out, the connect time-out watches.
            if moved != before or (not state.header_bytes and not easy.getinfo(pycurl.PRETRANSFER_TIME)):
                since = now
            elif active and now - since >= stall_s:
                cause = f"stalled: no byte for {stall_s:g} s"
                raise CurlError(url, cause, Own.STALLED.meaning, head=state.head)
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

    def _judge(self, easy: Any, url: str, scheme: str, state: Exchange) -> None:
        if state.failure:
            raise state.failure
        _, _, failed = self._multi.info_read()
        if state.web and not failed and state.head is None:
            # libcurl is content with an interim answer that switches protocols, and reads 2000 as some status.
            code = Curl.WEIRD_SERVER_REPLY
            raise CurlError(url, "no answer came that HTTP knows", curl_meaning(code, scheme), code=code)
        if not failed or state.ended:
            return
        _, code, text = failed[0]
        proxy_status = easy.getinfo(pycurl.HTTP_CONNECTCODE)
        if proxy_status // 100 in {4, 5}:
            raise CurlError(url, _cause(text, code), http_meaning(proxy_status), code=code)
        answer = 0 if state.web else easy.getinfo(pycurl.RESPONSE_CODE)
        cause = _cause(text, code)
        if scheme == "sftp" and code == Curl.FAILED_INIT:
            # libcurl asks for a key of the kind that is known; a server without one never shows any.
            hosts = self._settings.known_hosts_file or "the known hosts"
            cause += f"; its host key may have changed to another kind than the one in {hosts}: if so, remove that line"
        raise CurlError(url, cause, curl_meaning(code, scheme, answer), code=code, head=state.head)


def _cause(text: str, code: int) -> str:
    """Libcurl's words, fit for a log; it repeats a proxy's URL that it cannot read, and the password in there."""
    shown = "" if "@" in text else "".join(c if c.isprintable() else " " for c in text[:200]).strip()
    return f"{shown or 'transfer failed'} (curl {code})"
