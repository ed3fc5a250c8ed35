"""Masks secrets in logs on their way into an archive: the bytes become `*`, as many as there were, so sizes hold.

A mask is a regular expression for what is hidden (its first group, or all that it matches) and literals, one of which
stands in every line that has it. Only the lines in which a literal was found are looked at any closer; where there is
none, a block costs a search for a few words. Masks work line by line, and see a line in pieces of at most `PIECE`.

An expression that backtracks without end must not hold up the upload, nor let through what it should hide: after
`PATIENCE_S` its line is masked whole, and after a few of those every line with its literal is (`slow` names it).

    masker = Masker((PASSWORDS,))
    with masker.watch():
        b"".join(masker.blocks([b"get ftp://me:secret@host/"]))   # b"get ftp://me:******@host/"
    masker.counts                                                   # {"url_password": 1}
"""

import re
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

PIECE = 16 * 1024
"""Bytes of a line that are looked at together."""
PATIENCE_S = 1.0
"""Seconds for one line and one mask."""

_SLOW_LINES = 3  # before a mask is not tried any more
_TICK_S = 0.25
_RARE_TRIES = 32  # a byte that comes up so often in vain is not rare here
_RARITY = {byte: rank for rank, byte in enumerate(b"@zqxjkvZQXJKVbpygfwm")}  # in logs; rarest first


@dataclass(frozen=True)
class Mask:
    """What is hidden.

    Attributes:
        name: in the manifest.
        literals: each line with something to hide has one of them, letter by letter.
        pattern: a regular expression over bytes, in UTF-8; its first group, or without one the whole match, is hidden.
        then: only where one of these ASCII characters follows the literal is a line looked at; "": wherever it stands.

    Raises:
        ValueError: no literal, an empty one, or no regular expression.
    """

    name: str
    literals: tuple[str, ...]
    pattern: str
    then: str = ""

    def __post_init__(self) -> None:
        if not self.literals or not all(self.literals):
            raise ValueError("a mask needs a literal")
        try:
            self.compiled()
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{self.pattern!r} is no regular expression: {error}") from error

    def compiled(self) -> re.Pattern[bytes]:
        """The expression."""
        return re.compile(self.pattern.encode())


PASSWORDS = Mask("url_password", ("@",), r"""://[^\s/?#@:"'<>]{0,255}:([^\s/?#"'<>]{1,1024})@""")
AUTHORIZATION = Mask(
    "authorization",
    ("uthorization",),
    r"""uthorization\\?["']?[:=]\s{0,8}\\?["']?(?:(?i:basic|bearer|token)\s{1,8})?"""
    r"""((?i:digest)\s[^\r\n]{1,8192}|[^\s"'\\,;]{1,8192})""",
    then="\\\"':=",  # the word alone is common
)
ID_TOKENS = Mask(
    "id_token",
    ("dToken", "dTag", "d_token", "d_tag"),
    r"""(?:[iI]dToken|[iI]dTag|id_token|id_tag)\\?["']?\s{0,8}[:=]\s{0,8}"""
    r"""(?:\{[^{}]{0,512}?(?:idToken|value)\\?["']?\s{0,8}[:=]\s{0,8})?\\?["']?([^\s"'\\,;{}\[\]]{1,255})""",
)


class _Literal:
    """A few bytes that are looked for by their rarest one: that is many times as fast where it is rare indeed."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._rarest = min(range(len(text)), key=lambda place: _RARITY.get(text[place], len(_RARITY)))
        self._byte = text[self._rarest : self._rarest + 1]

    def find(self, buffer: bytes, start: int) -> int:
        """Where it stands next, or -1."""
        at = start + self._rarest
        for _ in range(_RARE_TRIES):
            at = buffer.find(self._byte, at)
            if at < 0:
                return -1
            if buffer.startswith(self.text, at - self._rarest):
                return at - self._rarest
            at += 1
        return buffer.find(self.text, at - self._rarest)


class _TooSlowError(Exception):
    """One line has taken too long."""


class Masker:
    """Masks for one archive.

    Args:
        masks: what is hidden.

    Attributes:
        counts: how often each mask hid something, by its name.
        slow: the names of masks that took too long: whole lines were masked for them.
    """

    def __init__(self, masks: Iterable[Mask]) -> None:
        self._masks = []
        for mask in masks:
            literals = [_Literal(literal.encode()) for literal in mask.literals]
            self._masks.append((mask.name, literals, frozenset(mask.then.encode()), mask.compiled()))
        self.counts = {name: 0 for name, *_ in self._masks}
        self.slow: dict[str, int] = {}
        self._since_s = 0.0  # when the search under way began; 0: none is

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Let no search take longer than `PATIENCE_S` meanwhile; only in the main thread, where signals come."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, self._look)  # `re` looks for signals while it searches
        signal.setitimer(signal.ITIMER_REAL, _TICK_S, _TICK_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def blocks(self, blocks: Iterable[bytes]) -> Iterator[bytes | memoryview]:
        """The same bytes masked, as many in all, in other blocks."""
        if not self._masks:
            yield from blocks
            return
        rest = b""  # the line under way, or its last PIECE if it is longer than two
        for block in blocks:
            begin, buffer = 0, block
            if rest:
                begin = block.find(b"\n", 0, PIECE) + 1
                if begin:
                    line = rest + block[:begin]
                    yield self._masked(line, 0, len(line))
                else:
                    buffer = rest + block
            end = max(begin, buffer.rfind(b"\n") + 1)
            if len(buffer) - end > 2 * PIECE:
                end = len(buffer) - PIECE
            masked = self._masked(buffer, begin, end)
            rest = masked[end:]
            yield memoryview(masked)[begin:end]
        yield self._masked(rest, 0, len(rest))

    def _masked(self, buffer: bytes, begin: int, end: int) -> bytes:
        """The buffer with everything masked that stands in its lines from `begin` on and begins before `end`."""
        masked: bytearray | None = None
        for name, literals, then, pattern in self._masks:
            for literal in literals:
                at = literal.find(buffer, begin)
                while at >= 0:
                    after = at + len(literal.text)
                    if then and (after == len(buffer) or buffer[after] not in then):
                        at = literal.find(buffer, after)
                        continue
                    line_end = buffer.find(b"\n", at, at + PIECE)
                    if line_end < 0:
                        line_end = min(len(buffer), at + PIECE)
                    line = max(buffer.rfind(b"\n", begin, at) + 1, begin, at - PIECE)
                    found = self._spans(name, pattern, buffer if masked is None else masked, line, line_end)
                    if found and masked is None:
                        masked = bytearray(buffer)
                    for first, last in found:
                        if masked is not None and first < end and masked[first:last].strip(b"*"):
                            masked[first:last] = b"*" * (last - first)
                            self.counts[name] += 1
                    at = literal.find(buffer, line_end)
        return buffer if masked is None else bytes(masked)

    def _spans(
        self, name: str, pattern: re.Pattern[bytes], line: bytes | bytearray, begin: int, end: int
    ) -> list[tuple[int, int]]:
        """What is to be hidden between two places of a buffer."""
        if self.slow.get(name, 0) >= _SLOW_LINES:
            return [(begin, end)]
        group = min(1, pattern.groups)
        try:
            self._since_s = monotonic()
            spans = [match.span(group) for match in pattern.finditer(line, begin, end)]
            self._since_s = 0.0
        except (_TooSlowError, RecursionError, MemoryError):
            self._since_s = 0.0
            self.slow[name] = self.slow.get(name, 0) + 1
            return [(begin, end)]
        return spans

    def _look(self, *_: object) -> None:
        if self._since_s and monotonic() - self._since_s > PATIENCE_S:
            raise _TooSlowError
