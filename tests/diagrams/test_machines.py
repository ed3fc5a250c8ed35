"""What is drawn agrees with what the machines say of themselves."""

from itertools import pairwise

import pytest

from everest_system.diagrams.machines import MACHINES, Machine, machine_named

every_machine = pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))


@every_machine
def test_good_path_exists(machine: Machine):
    """When all goes well each state of the good path is followed by the next, by one row."""
    for state, following in pairwise(machine.good_path):
        assert following in {row.to for row in machine.table[state].rows}


@every_machine
def test_good_path_leads_from_the_start_to_an_end(machine: Machine):
    """The good path is the whole of a request, where a machine has requests."""
    assert machine.good_path[:1] in ((), (machine.initial,))
    assert bool(machine.ends) == bool(machine.ends.intersection(machine.good_path[-1:]))


@every_machine
def test_every_state_has_an_entry(machine: Machine):
    """Words and ends are those of the table's own states, and the initial state is one of them."""
    assert machine.initial in machine.table
    assert machine.ends <= set(machine.table)
    assert set(machine.status) in (set(), set(machine.table))


@every_machine
def test_remarks_keep_the_word(machine: Machine):
    """A remark says more than the status map, and never leaves its word out."""
    for state, remark in machine.remarks.items():
        assert str(machine.status[state]) in remark
        assert machine.word(state) == remark


def test_words():
    """A state publishes the word of the status map, or none."""
    assert machine_named("firmware").word("REBOOTING") == "InstallRebooting"
    assert machine_named("firmware").word("CONFIRMING") is None
    assert machine_named("presence").word("ABSENT") is None
    assert machine_named("logs").word("NO_SUCH_STATE") is None


def test_unknown_machine():
    """A machine that does not exist is refused with the names of those that do."""
    with pytest.raises(ValueError, match="no machine modem, only firmware, logs, platform, presence"):
        machine_named("modem")
