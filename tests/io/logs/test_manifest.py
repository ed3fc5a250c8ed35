"""The manifest says how times without a zone were read."""

import time

import pytest

from everest_system.io.logs.manifest import machine_zone


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("UTC0", "UTC +00:00"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "CET +01:00, CEST +02:00"),
        ("NST3:30NDT,M3.2.0,M11.1.0", "NST -03:30, NDT -02:30"),
        ("<+0545>-5:45", "+0545 +05:45"),
    ],
)
def test_the_zone_of_the_machine(monkeypatch, name, said):
    """Name and distance from UTC, also of the summer time: without it EVerest's own times cannot be placed."""
    monkeypatch.setenv("TZ", name)
    time.tzset()
    try:
        assert machine_zone() == said
    finally:
        monkeypatch.undo()
        time.tzset()
