"""Resets: done at once, or after an update that must not be interrupted."""

import pytest
from support.machine_driver import MachineDriver

from everest_system.fsm.events import Settled
from everest_system.fsm.messages import BootReason, ResetType
from everest_system.fsm.orders import RebootMachine, RestartEverest, StopWork
from everest_system.fsm.platform.events import (
    BootReasonAsked,
    EverestRestartDone,
    FirmwareBusy,
    FirmwareHeard,
    FirmwareSettled,
    ResetDue,
    ResetFailed,
    ResetOverdue,
    ResetRequested,
)
from everest_system.fsm.platform.machine import PlatformMachine, PlatformRules
from everest_system.fsm.platform.snapshot import PlatformSnapshot
from everest_system.fsm.platform.states import PlatformState as S

REMOTE, SCHEDULED = BootReason.REMOTE_RESET, BootReason.SCHEDULED_RESET
HARD = ResetRequested(ResetType.HARD, REMOTE, busy=False)
SOFT = ResetRequested(ResetType.SOFT, REMOTE, busy=False)
HARD_LATER = ResetRequested(ResetType.HARD, REMOTE, busy=True)
SOFT_LATER = ResetRequested(ResetType.SOFT, SCHEDULED, busy=True)


def platform():
    """The machine underneath, booted some time ago."""
    driver = MachineDriver(PlatformMachine, PlatformSnapshot())
    driver.restart()
    return driver


def boot_reason(driver):
    driver.take(BootReasonAsked("reply/boot", "system_api", life=0))
    return driver.replies[-1]


def resetting(reset):
    """A platform whose reset is on its way."""
    driver = platform()
    driver.take(reset)
    driver.fire(Settled)
    assert driver.state is S.RESETTING
    return driver


@pytest.mark.parametrize(
    ("kind", "order"),
    [(ResetType.HARD, RebootMachine), (ResetType.NOT_SPECIFIED, RebootMachine), (ResetType.SOFT, RestartEverest)],
)
@pytest.mark.parametrize("reason", [REMOTE, SCHEDULED, BootReason.LOCAL_RESET])
def test_a_reset_is_done_once_its_answer_is_out(kind, order, reason):
    """A soft reset restarts EVerest, any other one reboots; the boot after it says why."""
    driver = platform()
    assert boot_reason(driver) == BootReason.POWER_UP
    driver.take(ResetRequested(kind, reason, busy=False))
    assert (driver.state, driver.left(Settled), len(driver.orders)) == (S.RESET_ACCEPTED, 2, 1)
    driver.fire(Settled)
    assert [type(each) for each in driver.orders if not hasattr(each, "value")] == [order]
    assert driver.left(ResetOverdue) == 300
    if order is RebootMachine:
        assert boot_reason(driver) == BootReason.POWER_UP
        driver.restart(boot=True)
    else:
        driver.report(EverestRestartDone)
    assert (driver.state, driver.snapshot.timers) == (S.IDLE, {})
    assert boot_reason(driver) == reason


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("power_cut", [True, False])
def test_a_reset_waits_for_the_update_and_its_end_status(heard, power_cut):
    """B11.FR.06: kept while installing, done once the end status is heard, at the latest a minute after the end."""
    driver = platform()
    driver.take(HARD_LATER)
    assert (driver.state, driver.snapshot.timers, driver.ordered(RebootMachine)) == (S.RESET_PENDING, {}, [])
    if power_cut:
        driver.restart(boot=True)
    driver.take(FirmwareSettled())
    assert driver.left(ResetDue) == 60
    if heard:
        driver.take(FirmwareHeard())
    else:
        driver.fire(ResetDue)
    assert driver.state is S.RESETTING
    assert len(driver.ordered(RebootMachine)) == 1
    assert driver.waits_for(ResetOverdue)


def test_a_reset_waits_for_the_next_update_too_when_that_has_come_so_far():
    """While an end status is on its way nobody hears it, the next update may begin to install: it is not cut off."""
    driver = platform()
    driver.take(HARD_LATER)
    driver.take(FirmwareSettled())
    driver.take(FirmwareBusy())
    assert (driver.state, driver.snapshot.timers) == (S.RESET_PENDING, {})
    driver.take(FirmwareSettled())
    driver.fire(ResetDue)
    assert driver.state is S.RESETTING


def test_a_reset_that_does_not_come_gives_way_to_an_update():
    """B11.FR.06: while an update installs, a reset that has not come is not ordered again; behind its end it is."""
    driver = resetting(HARD)
    driver.take(FirmwareBusy())
    assert (driver.state, driver.snapshot.timers) == (S.RESET_PENDING, {})
    driver.take(FirmwareSettled())
    driver.take(FirmwareHeard())
    assert driver.state is S.RESETTING
    assert len(driver.ordered(RebootMachine)) == 2


@pytest.mark.parametrize(
    ("first", "second", "order", "reason"),
    [
        (SOFT_LATER, HARD_LATER, RebootMachine, REMOTE),
        (HARD_LATER, SOFT_LATER, RebootMachine, REMOTE),
        (SOFT_LATER, SOFT, RestartEverest, SCHEDULED),
    ],
)
def test_the_more_thorough_of_two_waiting_resets_is_done(first, second, order, reason):
    """A roll back's reboot is not lost because a soft reset waits already."""
    driver = platform()
    driver.take(first)
    driver.take(second)
    driver.take(FirmwareSettled())
    driver.take(FirmwareHeard())
    assert [type(each) for each in driver.orders] == [order]
    assert driver.snapshot.reason == reason


@pytest.mark.parametrize(("first", "second"), [(SOFT, SOFT), (HARD, SOFT), (HARD, HARD)])
@pytest.mark.parametrize("is_on_its_way", [True, False])
def test_a_second_reset_that_is_no_more_thorough_changes_nothing(first, second, is_on_its_way):
    """One reset is enough."""
    driver = resetting(first) if is_on_its_way else platform()
    if not is_on_its_way:
        driver.take(first)
    before = driver.snapshot
    for event in (second, FirmwareSettled(), FirmwareHeard()):
        assert not driver.take(event).taken
    assert driver.snapshot == before


def test_a_reboot_does_not_wait_for_a_restart_on_its_way():
    """Whoever asked for the reboot was told that it comes; the restart's work is stopped, its answer dropped."""
    driver = resetting(SOFT)
    driver.fire(ResetOverdue)
    restart = driver.snapshot.work
    driver.take(ResetRequested(ResetType.HARD, SCHEDULED, busy=False))
    assert [type(order) for order in driver.orders[-2:]] == [StopWork, RebootMachine]
    assert (driver.state, driver.snapshot.tries, driver.waits_for(ResetOverdue)) == (S.RESETTING, 1, True)
    assert not driver.take(EverestRestartDone(restart)).taken
    driver.restart(boot=True)
    assert boot_reason(driver) == SCHEDULED


def test_a_reboot_takes_the_place_of_a_restart_whose_answer_is_not_out():
    """The more thorough of two does for both, at the time of the first."""
    driver = platform()
    driver.take(SOFT)
    driver.clock.advance(1.5)
    driver.take(HARD)
    assert driver.left(Settled) == 0.5
    driver.fire(Settled)
    assert [type(order) for order in driver.orders] == [RebootMachine]


def test_an_update_that_comes_so_far_before_the_answer_is_out_is_not_interrupted():
    """B11.FR.06: the reset is kept until the update's end."""
    driver = platform()
    driver.take(HARD)
    driver.take(FirmwareBusy())
    assert (driver.state, driver.snapshot.timers) == (S.RESET_PENDING, {})
    driver.take(FirmwareSettled())
    driver.take(FirmwareHeard())
    assert driver.state is S.RESETTING


def test_the_delay_is_configured():
    """platform.reset.delay_s, from 0 on."""
    driver = MachineDriver(lambda snapshot: PlatformMachine(snapshot, PlatformRules(0.0)), PlatformSnapshot())
    driver.restart()
    driver.take(HARD)
    assert driver.left(Settled) == 0


def test_a_crash_before_the_answer_is_out_keeps_the_reset():
    """It is accepted; what is left of the delay passes, and it is done."""
    driver = platform()
    driver.take(HARD)
    driver.clock.advance(1.5)
    driver.restart()
    assert (driver.state, driver.left(Settled)) == (S.RESET_ACCEPTED, 0.5)
    driver.fire(Settled)
    assert driver.state is S.RESETTING


def test_a_boot_before_the_reset_was_ordered_is_as_good():
    """The machine does not boot twice; nothing had ordered the boot that came."""
    driver = platform()
    driver.take(HARD)
    driver.restart(boot=True)
    assert (driver.state, driver.snapshot.timers, driver.orders) == (S.IDLE, {}, [])
    assert boot_reason(driver) == BootReason.POWER_UP


@pytest.mark.parametrize("reset", [HARD, SOFT])
def test_a_reset_that_does_not_come_is_tried_three_times(reset):
    """Each try stops the one before, and after the third nothing is under way any more."""
    driver = resetting(reset)
    works = [driver.snapshot.work]
    for tries in (2, 3):
        driver.fire(ResetOverdue)
        assert (driver.state, driver.snapshot.tries) == (S.RESETTING, tries)
        works.append(driver.snapshot.work)
    driver.fire(ResetOverdue)
    assert (driver.state, driver.snapshot.timers, driver.snapshot.intended) == (S.IDLE, {}, None)
    assert len(driver.ordered(StopWork)) == 3
    for late in works:
        assert not driver.take(EverestRestartDone(late)).taken
        assert not driver.take(ResetFailed(late, "late")).taken
    driver.restart(boot=True)
    if reset is HARD:
        assert boot_reason(driver) == BootReason.POWER_UP


def test_a_reset_that_fails_is_given_up():
    """The station stays what it was, and takes the next reset."""
    driver = resetting(HARD)
    driver.report(ResetFailed, "no permission")
    assert (driver.state, driver.snapshot.timers) == (S.IDLE, {})
    driver.take(HARD)
    driver.fire(Settled)
    assert (driver.state, driver.snapshot.tries) == (S.RESETTING, 1)


def test_a_crash_before_the_reset_tries_again():
    """A start in the same boot means that the reset did not come; one in another boot, that it did."""
    driver = resetting(HARD)
    driver.restart()
    assert (driver.state, len(driver.ordered(RebootMachine))) == (S.RESETTING, 2)
    driver.restart(boot=True)
    assert (driver.state, boot_reason(driver)) == (S.IDLE, REMOTE)
