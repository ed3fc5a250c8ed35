"""Walks through the machines that no request drives: no timer that is set ever meets a state that cannot bear it."""

from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples
from support.machine_driver import MachineDriver

from everest_system.fsm.messages import BootReason, ResetType
from everest_system.fsm.orders import RebootMachine, RestartEverest, StopWork
from everest_system.fsm.platform import events as resets
from everest_system.fsm.platform.machine import PlatformMachine
from everest_system.fsm.platform.snapshot import PlatformSnapshot
from everest_system.fsm.presence import events as signs
from everest_system.fsm.presence.machine import PresenceMachine, PresenceRules
from everest_system.fsm.presence.snapshot import PresenceSnapshot

PLATFORM_EVENTS = [
    *(resets.ResetRequested(kind, BootReason.REMOTE_RESET, busy) for kind in ResetType for busy in (True, False)),
    *(resets.BootReasonAsked(None, "system_api", life) for life in (0, 1)),
    resets.FirmwareRebootOrdered(restart=True),
    resets.FirmwareRebootOrdered(restart=False),
    resets.FirmwareSettled(),
    resets.FirmwareHeard(),
]
PRESENCE_EVENTS = [
    signs.BrokerFound(),
    signs.BrokerLost(),
    *(signs.HeartbeatArrived(number) for number in (0, 1, 2, 200, 2**64 - 1)),
    *(signs.EverestSpoke(is_start, False) for is_start in (True, False)),
    signs.EverestSpoke(is_start=False, is_from_csms=True),
]
choices = st.lists(st.integers(0, 255), min_size=1, max_size=60)


def common(driver):
    """What every machine has to bear: its timers, its restarts, time."""
    return [
        *(lambda name=name: driver.fire(type(driver.machine.timer_event(name))) for name in driver.snapshot.timers),
        lambda: driver.restart(),
        lambda: driver.restart(boot=True),
        lambda: driver.clock.advance(7),
    ]


def works(driver):
    """What the work that runs may say: the last order's, unless it was stopped or has answered."""
    if not driver.orders or isinstance(driver.orders[-1], StopWork):
        return []
    orders = [order for order in driver.orders if isinstance(order, (RebootMachine, RestartEverest))]
    if not orders or driver.state != "RESETTING" or orders[-1].work != driver.snapshot.work:
        return []
    answers = [lambda: driver.report(resets.ResetFailed, "failed")]
    if isinstance(orders[-1], RestartEverest):
        answers.append(lambda: driver.report(resets.EverestRestartDone))
    return answers


@given(choices)
@settings(max_examples=examples(150))
def test_no_walk_of_the_platform_ends_in_a_bug(choices):
    """Whatever the world brings, the platform bears it, and a reset on its way has a timer or waits for an update."""
    driver = MachineDriver(PlatformMachine, PlatformSnapshot())
    driver.restart()
    for choice in choices:
        events = [lambda event=event: driver.take(event) for event in PLATFORM_EVENTS]
        moves = [*events, *common(driver), *works(driver)]
        moves[choice % len(moves)]()
        expected = {
            "IDLE": [set()],
            "RESET_ACCEPTED": [{"Settled"}],
            "RESET_PENDING": [set(), {"ResetDue"}],
            "RESETTING": [{"ResetOverdue"}],
        }
        assert set(driver.snapshot.timers) in expected[driver.state]


@given(choices, st.sampled_from(["heartbeat", "any_message", "none"]))
@settings(max_examples=examples(150))
def test_no_walk_of_presence_ends_in_a_bug(choices, mode):
    """Whatever the world brings, presence bears it; runs only grow; where heartbeats count, it notes silence."""
    driver = MachineDriver(lambda snapshot: PresenceMachine(snapshot, PresenceRules(mode=mode)), PresenceSnapshot())
    driver.restart()
    for choice in choices:
        run = driver.snapshot.run
        moves = [*(lambda event=event: driver.take(event) for event in PRESENCE_EVENTS), *common(driver)]
        moves[choice % len(moves)]()
        assert driver.snapshot.run >= run
        if mode == "heartbeat" and driver.state != "ABSENT" and driver.snapshot.number is not None:
            assert "HeartbeatsMissing" in driver.snapshot.timers
