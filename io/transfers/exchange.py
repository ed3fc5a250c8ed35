"""One exchange with a server, as libcurl's callbacks tell it: its head, its body, and how it ended.

No exception leaves a callback, where pycurl would print and forget it: the first one is kept as `failure`, and ends the
exchange.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from everest_system.io.transfers.outcomes import Own
from everest_system.io.transfers.transfer import Meaning, TransferError

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
_STATUS_LINE: Final = re.compile(rb"HTTP/[0-9.]+ ([0-9]{3})\b")


@dataclass(frozen=True)
class Head:
    """The head of an HTTP answer: its status and those of its fields that matter here, names in lower case."""

    status: int
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """How an exchange ended.

    Attributes:
        status: the HTTP status, or the last FTP answer; 0 where there is neither.
        head: the head of an HTTP answer.
        length: bytes announced by another server, -1 when it did not say.
        file_time: Unix time of another server's file, -1 when it did not say.
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
class Exchange:
    """What one exchange has seen so far.

    Attributes:
        url: for errors.
        web: the answer has a head as HTTP has it.
        on_head, on_body: see `Engine.exchange`.
        ended: a callback wants no more of it, which is a good end.
        failure: what a callback raised.
    """

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
        try:
            return self._header(line)
        except Exception as error:  # noqa: BLE001 - see above
            self.failure = error
            return 0

    def _header(self, line: bytes) -> int | None:
        self.header_bytes += len(line)
        if self.header_bytes > _HEADERS_MAX:
            raise CurlError(self.url, "the server's answer has too long a head", Own.LONG_HEAD.meaning)
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
        except Exception as error:  # noqa: BLE001 - see above
            self.failure = error
        return 0


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
