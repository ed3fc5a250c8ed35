"""A timeline as a sequence chart: plain SVG text, the same bytes each time.

One column for everybody who did something, one row for each entry, an arrow where one of them spoke to the station or
it to them.
"""

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from everest_system.simulation.moments import shown
from everest_system.simulation.timeline import Entry, Timeline

ACTORS: Final[tuple[str, ...]] = ("CSMS", "EVerest", "station", "world", "operator")
_TIME_WIDTH, _COLUMN, _ROW, _TOP = 110, 90, 18, 64
_LONGEST = 140  # characters of a text
_TO_STATION, _FROM_STATION = ("says ",), ("hears ", "is answered ", "is told")
_STYLE = (
    "text{font:11px sans-serif;fill:#1f2937}.title{font-weight:bold;font-size:13px}.time{fill:#6b7280}"
    ".line{stroke:#d1d5db}.arrow{stroke:#2563a8;fill:none;marker-end:url(#head)}.dot{fill:#2563a8}.failed{fill:#b3443a}"
)


def as_svg(timeline: Timeline) -> str:
    """The chart of `timeline`."""
    who = {entry.who for entry in timeline.entries} | {"station"}
    actors = [actor for actor in ACTORS if actor in who]
    places = {actor: _TIME_WIDTH + _COLUMN * number + _COLUMN // 2 for number, actor in enumerate(actors)}
    text_at = _TIME_WIDTH + _COLUMN * len(actors) + 8
    bottom = _TOP + _ROW * len(timeline.entries)
    lines = [
        f'<line class="line" x1="{place}" y1="{_TOP - 12}" x2="{place}" y2="{bottom}"/>' for place in places.values()
    ]
    lines += [f'<text x="{place}" y="{_TOP - 20}" text-anchor="middle">{name}</text>' for name, place in places.items()]
    for number, entry in enumerate(timeline.entries):
        lines += _row(entry, places, text_at, _TOP + _ROW * number)
    ends = [f"FAILED: {failure}" for failure in timeline.failures] or ["as expected"]
    for number, end in enumerate(ends):
        kind = ' class="failed"' if timeline.failures else ""
        lines.append(f'<text{kind} x="8" y="{bottom + _ROW * (number + 1)}">{escape(end)}</text>')
    width, height = text_at + 7 * _widest(timeline.entries), bottom + _ROW * (len(ends) + 1)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">\n<style>{_STYLE}</style>\n'
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0L8,4L0,8z" fill="#2563a8"/></marker></defs>\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n'
        f'<text class="title" x="8" y="20">{escape(timeline.title)}</text>\n'
    )
    return head + "\n".join(lines) + "\n</svg>\n"


def _row(entry: Entry, places: dict[str, int], text_at: int, y: int) -> list[str]:
    source, target = places.get(entry.who, places["station"]), None
    if entry.who in {"EVerest", "operator"} and entry.what.startswith(_TO_STATION):
        target = places["station"]
    elif entry.what.startswith(_FROM_STATION):
        source, target = places["station"], source
    elif entry.who == "CSMS":
        target = places.get("EVerest")
    drawn = (
        f'<circle class="dot" cx="{source}" cy="{y - 4}" r="3"/>'
        if target is None
        else f'<path class="arrow" d="M{source},{y - 4}H{target}"/>'
    )
    text = escape(f"{entry.who} {entry.what}"[:_LONGEST])
    return [
        f'<text class="time" x="8" y="{y}">{shown(entry.at)}</text>',
        drawn,
        f'<text x="{text_at}" y="{y}">{text}</text>',
    ]


def _widest(entries: Sequence[Entry]) -> int:
    return max((min(len(entry.who) + len(entry.what) + 1, _LONGEST) for entry in entries), default=20)
