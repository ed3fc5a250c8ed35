"""The service's own log lines."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from everest_system.log_lines import (
    LONGEST_TEXT,
    LONGEST_TRACEBACK,
    MOST_ITEMS,
    _Foreign,
    configure,
    get_logger,
    strip_userinfo,
)


class Stream(io.StringIO):
    """A stream in memory, a terminal if told so; `broken` makes it refuse what is written."""

    def __init__(self, *, terminal: bool = False, broken: Exception | None = None) -> None:
        super().__init__()
        self.terminal, self.broken = terminal, broken

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        if self.broken is not None:
            raise self.broken
        return super().write(text)

    def flush(self) -> None:
        if self.broken is not None:
            raise self.broken

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def _leaves_no_trace() -> Iterator[None]:
    yield
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if not isinstance(handler, _Foreign)]
    structlog.reset_defaults()


@pytest.fixture
def stream() -> Stream:
    stream = Stream()
    configure(stream)
    return stream


def line_with(stream: Stream, **values: object) -> dict[str, Any]:
    get_logger().info("event", **values)
    return stream.lines()[-1]


def test_line_says_when_how_what_and_for_whom(stream) -> None:
    """A line is JSON with time in UTC, level, event, module and request, in this order, then the rest."""
    before = datetime.now(UTC)
    log = get_logger(module_id="system_api").bind(request_id=7, attempt=2)
    log.warning("download interrupted", received=12.5, final=False, reason=None)
    (line,) = stream.lines()
    assert before <= datetime.fromisoformat(line.pop("timestamp")) <= datetime.now(UTC)
    assert list(line.items()) == [
        ("level", "warning"),
        ("event", "download interrupted"),
        ("module_id", "system_api"),
        ("request_id", 7),
        ("attempt", 2),
        ("received", 12.5),
        ("final", False),
        ("reason", None),
    ]
    assert stream.getvalue().startswith('{"timestamp": "')
    assert "Z" in stream.getvalue()


def test_level_is_the_least_written() -> None:
    """Lines below the level are not written."""
    stream = Stream()
    configure(stream)
    get_logger().debug("too fine")
    configure(stream, level=logging.DEBUG)
    get_logger().debug("fine")
    assert [line["event"] for line in stream.lines()] == ["fine"]


def test_lines_go_to_standard_error(capsys) -> None:
    """Without a stream, lines go to standard error and none to standard output."""
    configure()
    get_logger().info("here")
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["event"] == "here"


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("ftp://u:p@host/x", "ftp://host/x"),
        ("ftp://u:p@[::1]/", "ftp://[::1]/"),
        ("ftp://user@host", "ftp://host"),
        ("ftp://:p@host", "ftp://host"),
        ("HTTP://u:p@host:80?q#f", "HTTP://host:80?q#f"),
        ("https://u:p@x@y@host/", "https://host/"),
        ("sftp://u%40d:p%2F@host/x@y", "sftp://host/x@y"),
        ("http:///u:p@host", "http:///host"),
        ("http:/u:p@host", "http:/host"),
        ("ftp://u:p/w@host/x", "ftp://host/x"),
        ("ftp://u:p#w@host/x", "ftp://host/x"),
        ("ftp://u:p?w@host/x", "ftp://host/x"),
        ("ftp://u:1x/w@host/x", "ftp://host/x"),
        ("ftp://u:my word@host/x", "ftp://host/x"),
        ("ftp://my user:word@host/x", "ftp://host/x"),
        ("ftp://host: 530 for a@b", "ftp://host: 530 for a@b"),
        ("ftp://u:p\\@host", "ftp://host"),
        ('"ftp://u:p"w@host"', '"ftp://host"'),
        ("from http://a:b@c to ftp://d:e@f.", "from http://c to ftp://f."),
        ("a=http://a:b@c,b=ftp://d:e@f", "a=http://c,b=ftp://f"),
        ("http://a:b@c\nftp://d:e@f\n", "http://c\nftp://f\n"),
        ("http://host:80/a@b", "http://host:80/a@b"),
        ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
        ("http://host/a:b@c", "http://host/a:b@c"),
        ("http://host:80, mail to a@b", "http://host:80, mail to a@b"),
        ("mail to a:b@c", "mail to a:b@c"),
        ("no address at all", "no address at all"),
    ],
)
def test_userinfo_is_stripped(text, stripped) -> None:
    """User and password of a URL in any text go, also where they are badly written, and nothing else."""
    assert strip_userinfo(text) == stripped


@given(
    st.text(st.characters(exclude_characters="/?#:@", exclude_categories=["Z", "C"]), max_size=8),
    st.text(st.characters(exclude_characters="/?#", exclude_categories=["Z", "C"]), max_size=8),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_no_password_gets_through(user, password, before, after) -> None:
    """Whatever stands around it, a URL's password does not come through."""
    secret = f"{password}S3CRET"
    assert "S3CRET" not in strip_userinfo(f"{before} ftp://{user}:{secret}@host/{after}")


@pytest.mark.parametrize(
    "piece", ["://", ":/a:b", ":/1:1", "@", ":/@", ":/a:@", ":/111111", ":/\\", "a:", ":/ a", "\n:/a:"]
)
def test_hostile_text_costs_little(piece) -> None:
    """The time to strip a long text grows with its length, not with its square."""
    text = piece * (200_000 // len(piece))
    for end in ("", "@", "/@", " @"):
        started = datetime.now(UTC)
        strip_userinfo(text + end)
        assert (datetime.now(UTC) - started).total_seconds() < 2


def test_userinfo_is_stripped_everywhere_in_a_line(stream) -> None:
    """Event, values, keys, what is in lists and tables, errors and objects: no place keeps a password."""
    url = "ftp://user:S3CRET@host/x"

    class Thing:
        def __str__(self) -> str:
            return url

    log = get_logger(bound=url)
    try:
        raise ValueError(url)
    except ValueError as error:
        log.exception(
            f"cannot fetch {url}",
            text=url,
            listed=[url, (url, {url})],
            table={url: {"deep": [url]}},
            error=error,
            thing=Thing(),
            path=Path("/x"),
            raw=url.encode(),
            deepest=[[[[[[[[url]]]]]]]],
            **{url: 1},
        )
    assert "S3CRET" not in stream.getvalue()
    (line,) = stream.lines()
    assert line["event"] == "cannot fetch ftp://host/x"
    assert line["listed"] == ["ftp://host/x", ["ftp://host/x", ["ftp://host/x"]]]
    assert line["table"] == {"ftp://host/x": {"deep": ["ftp://host/x"]}}
    assert line["error"] == line["thing"] == line["bound"] == "ftp://host/x"
    assert line["path"] == "/x"
    assert "ValueError: ftp://host/x" in line["exception"]


def test_size_of_a_line_is_bounded(stream) -> None:
    """Long texts, long lists and endless tables are cut, and a password at the cut does not show."""
    endless: dict[str, object] = {}
    endless["again"] = endless
    long = "x" * (LONGEST_TEXT - 10) + " ftp://user:S3CRET@host"
    line = line_with(stream, long=long, many=list(range(1000)), wide=dict.fromkeys(range(1000)), endless=endless)
    assert line["long"].endswith(f"… ({len(long) - 12} characters)")
    assert len(line["long"]) < LONGEST_TEXT + 30
    assert line["many"] == list(range(MOST_ITEMS))
    assert len(line["wide"]) == MOST_ITEMS
    assert "S3CRET" not in stream.getvalue()
    assert len(stream.getvalue()) < 10_000


def test_traceback_has_more_room(stream) -> None:
    """A traceback is cut later than other texts."""
    try:
        raise ValueError("x" * (LONGEST_TEXT + 1))
    except ValueError:
        get_logger().exception("failed")
    try:
        raise ValueError("x" * LONGEST_TRACEBACK)
    except ValueError:
        get_logger().exception("failed")
    whole, cut = (line["exception"] for line in stream.lines())
    assert whole.endswith("x")
    assert cut.endswith("characters)")


def test_one_event_is_one_line(stream) -> None:
    """A line break from outside cannot begin a line of its own."""
    get_logger().info('x\n{"event": "forged"}', value="a\r\nb\u2028c")
    assert len(stream.getvalue().splitlines()) == 1
    assert stream.lines()[0]["value"] == "a\r\nb\u2028c"


def test_terminal_gets_coloured_text(monkeypatch) -> None:
    """A person gets text in colours, without them where `NO_COLOR` is set."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Stream(terminal=True)
    configure(stream)
    get_logger(module_id="m").info("download started", location="ftp://u:p@host/x")
    assert "\x1b[" in stream.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Stream(terminal=True)
    configure(stream)
    get_logger(module_id="m", request_id=7).info("download started", location="ftp://u:p@host/x")
    text = stream.getvalue()
    assert text.endswith("[info     ] download started module_id=m request_id=7 location=ftp://host/x\n")


def test_terminal_is_not_steered_from_outside(monkeypatch) -> None:
    """Control characters come out as text, wherever they stand; only a traceback keeps its lines."""
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Stream(terminal=True)
    configure(stream)
    hostile = "a\x1b[2J\r\nb\x9b\u202ec"
    try:
        raise ValueError(hostile)
    except ValueError:
        get_logger().exception(hostile, text=hostile, listed=[hostile])
    text = stream.getvalue()
    assert not set("\x1b\r\x9b\u202e") & set(text)
    assert "a\\x1b[2J\\r\\nb\\x9b\\u202ec" in text.splitlines()[0]
    assert "Traceback (most recent call last)" in text.splitlines()[1]


@pytest.mark.parametrize("fault", [BrokenPipeError(), OSError(28, "No space left on device"), ValueError("closed")])
def test_line_that_cannot_be_written_is_lost(fault) -> None:
    """A stream that is full, gone or closed disturbs nobody, and is written to again when it can be."""
    stream = Stream(broken=fault)
    configure(stream)
    get_logger().info("lost")
    stream.broken = None
    get_logger().info("kept")
    assert [line["event"] for line in stream.lines()] == ["kept"]


def test_libraries_are_heard_from_warnings_on(stream) -> None:
    """What libraries log comes out as our lines, warnings and worse only, stripped of passwords, once each."""
    logging.getLogger().handlers.clear()  # pytest's own do not take what does not fit
    configure(stream)
    configure(stream)
    library = logging.getLogger("library.part")
    library.info("not this")
    library.warning("lost %s", "ftp://u:p@host")
    library.error("bad %d arguments", "no")
    library.critical("100% full")
    try:
        raise OSError("ftp://u:p@host")
    except OSError:
        library.exception("failed")
    lines = stream.lines()
    assert [(line["level"], line["event"]) for line in lines] == [
        ("warning", "lost ftp://host"),
        ("error", "bad %d arguments"),
        ("error", "100% full"),
        ("error", "failed"),
    ]
    assert {line["library"] for line in lines} == {"library.part"}
    assert lines[-1]["exception"].endswith("OSError: ftp://host")


def test_neither_lines_nor_settings_load_rich() -> None:
    """A process that logs and has settings holds no part of rich in memory, installed or not, and can still load it."""
    program = """
import sys
from everest_system.log_lines import configure, get_logger
from everest_system.configuration.settings_sources import load
class Terminal:
    def isatty(self): return True
    def write(self, text): sys.stderr.write(text)
    def flush(self): pass
configure(Terminal())
load(None, {"EVEREST_SYSTEM_CONFIG": sys.argv[1]})
try:
    1 / 0
except ZeroDivisionError:
    get_logger().exception("failed")
assert not [name for name in sys.modules if name.split(".")[0] in ("rich", "pygments")], sys.modules
import rich.console
import everest_system.log_lines
"""
    ran = subprocess.run([sys.executable, "-c", program, "/dev/null"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "ZeroDivisionError" in ran.stderr


def test_rich_that_is_loaded_already_stays() -> None:
    """Where rich is in use already, importing the log lines leaves it alone."""
    program = "import rich, sys; import everest_system.log_lines; assert sys.modules['rich'] is rich"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
