"""The service's own log lines: one event a line, on standard error.

JSON where no person looks on, coloured text on a terminal. Each line has the time (ISO 8601, UTC), the level and the
event, and the module and the request it belongs to where they were given:

    log = get_logger(module_id="system_api").bind(request_id=7)
    log.info("download started", location="ftp://user:secret@files.example/fw.img")

    {"timestamp": "…Z", "level": "info", "event": "download started", "module_id": "system_api", "request_id": 7,
     "location": "ftp://files.example/fw.img"}

User and password of a URL never leave, wherever in a line it stands. What comes from outside can neither forge a line,
nor move a terminal's cursor, nor grow a line without bound. A line that cannot be written is lost: nothing that the
service does fails for its log. Libraries that log by themselves are heard from warnings on.

Import this before anything else that imports `structlog`, which loads all of rich wherever that is installed, for
tracebacks that are not used here.
"""

import io
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Let an optional import of a package find nothing, unless it is loaded already."""
    modules = cast("dict[str, Any]", sys.modules)
    if package in modules:
        yield
        return
    modules[package] = None
    try:
        yield
    finally:
        del modules[package]


with _hidden("rich"):
    import structlog
    from structlog.dev import ConsoleRenderer, plain_traceback
    from structlog.processors import JSONRenderer, TimeStamper, add_log_level, format_exc_info
    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

LONGEST_TEXT = 4_000
LONGEST_TRACEBACK = 16_000
MOST_ITEMS = 100
_DEEPEST = 6

_FIRST = ("timestamp", "level", "event", "module_id", "request_id")
_LINE = re.compile(r".+")
_USERINFO = re.compile(
    r"(:/+)"
    r"(?:[^\s/?#]*@"  # up to the last @ of what is a host to every parser
    r"|[^/?#@:\[]*:(?!\d*(?!\w)).*@)"  # a colon and no port: a password with / ? # or a blank in it, up to the last @
)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def configure(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send all log lines of this process to a stream; a second call replaces the first.

    Args:
        stream: where to; none: standard error. Colours only on a terminal, and not where `NO_COLOR` is set.
        level: the least level written, as in `logging`.
    """
    target = stream if stream is not None else sys.stderr
    terminal = target.isatty()
    renderer = (
        ConsoleRenderer(
            colors=not os.environ.get("NO_COLOR"), exception_formatter=plain_traceback, sort_keys=False, pad_event_to=0
        )
        if terminal
        else JSONRenderer()
    )
    structlog.configure(
        processors=[
            add_log_level,
            TimeStamper(fmt="iso", utc=True),
            format_exc_info,
            _for_terminal if terminal else _for_machines,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Lossy(target))),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Foreign)]:
        root.removeHandler(handler)
    root.addHandler(_Foreign(logging.WARNING))


def get_logger(**bound: object) -> FilteringBoundLogger:
    """A logger whose lines carry these values, `module_id` and `request_id` above all."""
    return cast("FilteringBoundLogger", structlog.get_logger(**bound))


def strip_userinfo(text: str) -> str:
    """The text without user and password of any URL in it; where it is not clear, rather too much goes than too little.

    >>> strip_userinfo("cannot reach ftp://u:p@[::1]/fw, trying http://x@y/")
    'cannot reach ftp://[::1]/fw, trying http://y/'
    """
    return _LINE.sub(_strip_line, text) if "@" in text else text


def _strip_line(line: re.Match[str]) -> str:
    # What follows the last @ is set aside, so that the pattern's search for one cannot fail late and often.
    front, at, rest = line[0].rpartition("@")
    return _USERINFO.sub(r"\1", front + at) + rest


def _for_machines(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    ordered = {name: event[name] for name in _FIRST if name in event} | dict(event)
    return {_text(name): _clean(value, _limit(name)) for name, value in ordered.items()}


def _for_terminal(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return {
        name: _visible(value, keep="\n" if name == "exception" else "") if isinstance(value, str) else value
        for name, value in _for_machines(logger, method, event).items()
    }


def _limit(name: str) -> int:
    return LONGEST_TRACEBACK if name == "exception" else LONGEST_TEXT


def _clean(value: object, longest: int, depth: int = 0) -> object:
    """The value as JSON can have it, stripped of userinfo and cut to a bounded size."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth < _DEEPEST:
        if isinstance(value, Mapping):
            items = list(value.items())[:MOST_ITEMS]
            return {_text(str(name)): _clean(inner, longest, depth + 1) for name, inner in items}
        if isinstance(value, list | tuple | set | frozenset):
            return [_clean(inner, longest, depth + 1) for inner in list(value)[:MOST_ITEMS]]
    return _text(str(value), longest)


def _text(text: str, longest: int = LONGEST_TEXT) -> str:
    """Stripped before it is cut: half a URL would hide its userinfo from the pattern."""
    stripped = strip_userinfo(text)
    return stripped if len(stripped) <= longest else f"{stripped[:longest]}… ({len(stripped)} characters)"


def _visible(text: str, keep: str) -> str:
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else repr(found[0])[1:-1], text)


class _Lossy(io.TextIOBase):
    """A stream that takes every line, whether the one below it (closed, full, gone) does or not."""

    def __init__(self, below: TextIO) -> None:
        self._below = below

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._below.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._below.flush()


class _Foreign(logging.Handler):
    """Passes on what libraries log by themselves."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit the message are the library's bug, not the line's
            text = str(record.msg)
        logger = get_logger(library=record.name)
        write = logger.error if record.levelno >= logging.ERROR else logger.warning
        write(text, exc_info=record.exc_info)
