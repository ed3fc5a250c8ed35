"""Resets: done at once, or after an update that must not be interrupted."""

import pytest
from support.machine_driver import MachineDriver

from everest_system.fsm.messages import BootReason, ResetType
from everest_system.fsm.orders import RebootMachine, RestartEverest, StopWork
from everest_system.fsm.platform.events import (
    BootReasonAsked,
    EverestRestartDone,
    FirmwareBusy,
    FirmwareHeard,
    FirmwareRebootOrdered,
    FirmwareSettled,
    ResetDue,
    ResetFailed,
    ResetOverdue,
    ResetRequested,
)
from everest_system.fsm.platform.machine import PlatformMachine
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
    driver.take(BootReasonAsked("reply/boot"))
    return driver.replies[-1]


@pytest.mark.parametrize(
    ("kind", "order"),
    [(ResetType.HARD, RebootMachine), (ResetType.NOT_SPECIFIED, RebootMachine), (ResetType.SOFT, RestartEverest)],
)
@pytest.mark.parametrize("reason", [REMOTE, SCHEDULED, BootReason.LOCAL_RESET])
def test_a_reset_is_done_at_once(kind, order, reason):
    """A soft reset restarts EVerest, any other one reboots; the boot after it says why."""
    driver = platform()
    assert boot_reason(driver) == BootReason.POWER_UP
    driver.take(ResetRequested(kind, reason, busy=False))
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
    driver = platform()
    driver.take(HARD)
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


def test_a_second_reset_on_its_way_changes_nothing():
    """One reset is enough."""
    driver = platform()
    driver.take(SOFT)
    assert not driver.take(HARD).taken
    assert not driver.take(FirmwareHeard()).taken
    assert len(driver.orders) == 1


@pytest.mark.parametrize("reset", [HARD, SOFT])
def test_a_reset_that_does_not_come_is_tried_three_times(reset):
    """Each try stops the one before, and after the third nothing is under way any more."""
    driver = platform()
    driver.take(reset)
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
    driver = platform()
    driver.take(HARD)
    driver.report(ResetFailed, "no permission")
    assert (driver.state, driver.snapshot.timers) == (S.IDLE, {})
    driver.take(HARD)
    assert (driver.state, driver.snapshot.tries) == (S.RESETTING, 1)


def test_a_crash_before_the_reset_tries_again():
    """A start in the same boot means that the reset did not come; one in another boot, that it did."""
    driver = platform()
    driver.take(HARD)
    driver.restart()
    assert (driver.state, len(driver.ordered(RebootMachine))) == (S.RESETTING, 2)
    driver.restart(boot=True)
    assert (driver.state, boot_reason(driver)) == (S.IDLE, REMOTE)


# --- boot reasons ---


@pytest.mark.parametrize("state", list(S))
def test_the_boot_reason_is_told_in_every_state(state):
    """EVerest's OCPP module ends without an answer; asking again in the same boot changes nothing."""
    driver = platform()
    if state is not S.IDLE:
        driver.take(HARD_LATER if state is S.RESET_PENDING else HARD)
    assert driver.state is state
    assert [boot_reason(driver), boot_reason(driver)] == [BootReason.POWER_UP] * 2


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("state", list(S))
def test_the_boot_into_new_firmware_is_a_firmware_update(state, restart):
    """L01.FR.32: boot reason FirmwareUpdate, also when only EVerest was restarted."""
    driver = platform()
    if state is not S.IDLE:
        driver.take(SOFT_LATER if state is S.RESET_PENDING else HARD)
    driver.take(FirmwareRebootOrdered(restart=restart))
    if restart:
        assert boot_reason(driver) == BootReason.FIRMWARE_UPDATE
    else:
        driver.restart(boot=True)
        assert boot_reason(driver) == BootReason.FIRMWARE_UPDATE


def test_a_boot_nobody_ordered_is_a_power_up():
    """A second boot does not inherit the reason of the first."""
    driver = platform()
    driver.take(HARD)
    driver.restart(boot=True)
    driver.restart(boot=True)
    assert boot_reason(driver) == BootReason.POWER_UP


def test_a_reboot_that_never_came_explains_no_later_boot():
    """When the update ends without its reboot, the next boot is not the update's."""
    driver = platform()
    driver.take(FirmwareRebootOrdered(restart=False))
    driver.take(FirmwareSettled())
    driver.restart(boot=True)
    assert boot_reason(driver) == BootReason.POWER_UP


@pytest.mark.parametrize(("asked", "reason"), [(True, BootReason.APPLICATION_RESET), (False, BootReason.POWER_UP)])
def test_a_restart_of_the_software_alone_is_told_as_that(asked, reason):
    """Whoever asks again in the same boot started anew with us."""
    driver = platform()
    if asked:
        boot_reason(driver)
    driver.restart()
    assert boot_reason(driver) == reason
