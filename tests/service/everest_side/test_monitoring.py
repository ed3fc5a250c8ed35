"""EVerest's communication monitoring, with times of the test's own."""

import pytest

from everest_system.everest_side.monitoring import CommunicationMonitoring


def test_fault_stands_at_the_start():
    """Before the first sign of life there is a fault, but no gap."""
    monitoring = CommunicationMonitoring()
    assert monitoring.fault(0)
    assert monitoring.take(b"true", 100)
    assert not monitoring.fault(100)
    assert monitoring.gaps == 0


def test_five_seconds_of_silence_are_no_fault_yet():
    """Only more than the period raises the fault."""
    monitoring = CommunicationMonitoring()
    monitoring.take(b"true", 0)
    assert not monitoring.fault(5)
    assert monitoring.fault(5.001)
    monitoring.take(b" true\n", 5)
    assert monitoring.gaps == 0
    monitoring.take(b"true", 10.5)
    assert monitoring.gaps == 1
    assert not monitoring.fault(10.5)


def test_false_ends_the_watch_for_good():
    """After `false` silence is no fault, and a later `true` does not bring the watch back."""
    monitoring = CommunicationMonitoring()
    monitoring.take(b"false", 0)
    assert monitoring.ended
    monitoring.take(b"true", 1)
    assert not monitoring.fault(1000)
    monitoring.take(b"true", 2000)
    assert monitoring.gaps == 0


@pytest.mark.parametrize("payload", [b"", b"1", b"True", b'"true"', b"null", b"true,", b"\xff"])
def test_nothing_else_counts(payload):
    """Only exact JSON booleans are signs of life."""
    monitoring = CommunicationMonitoring()
    assert not monitoring.take(payload, 0)
    assert monitoring.fault(0)
