"""Why the machine booted: each row of the evidence, their order, and how long a word holds."""

import itertools
from pathlib import Path

import pytest
from support.machine_driver import MachineDriver

from everest_system.fsm.events import Settled
from everest_system.fsm.messages import BootReason, ResetType
from everest_system.fsm.platform.boot_reasons import BOOT_REASONS, BootFacts, Evidence, judge
from everest_system.fsm.platform.events import (
    BootReasonAsked,
    EverestRestartDone,
    FirmwareBusy,
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

R = BootReason
ORDERED = [R.FIRMWARE_UPDATE, R.SCHEDULED_RESET, R.REMOTE_RESET, R.LOCAL_RESET]
HARD = ResetRequested(ResetType.HARD, R.REMOTE_RESET, busy=False)
HARD_LATER = ResetRequested(ResetType.HARD, R.REMOTE_RESET, busy=True)


def machine(**facts):
    """Makes a platform whose machine shows `facts`."""
    return lambda snapshot: PlatformMachine(snapshot, facts=BootFacts(**facts))


def platform(**facts):
    """One that starts for the first time."""
    driver = MachineDriver(machine(**facts), PlatformSnapshot())
    driver.restart()
    return driver


def asked(driver, *, life=0, module="system_api"):
    """The answer to `get_boot_reason`."""
    driver.take(BootReasonAsked("reply/boot", module, life))
    return driver.replies[-1]


def order(driver, reason):
    """Have a reboot ordered for `reason`."""
    if reason is R.FIRMWARE_UPDATE:
        driver.take(FirmwareRebootOrdered(restart=False))
    else:
        driver.take(ResetRequested(ResetType.HARD, reason, busy=False))
        driver.fire(Settled)


# --- the rows ---


@pytest.mark.parametrize("reason", ORDERED)
def test_what_was_ordered(reason):
    """A boot behind an ordered reboot has the reason of the order, whatever else the machine shows."""
    driver = platform()
    order(driver, reason)
    driver.restart(boot=True, make=machine(told=R.TRIGGERED, watchdog=True))
    assert asked(driver) == reason


@pytest.mark.parametrize("word", list(R))
def test_what_the_machine_was_told(word):
    """The integrator's own word counts where nothing was ordered, above a watchdog's mark."""
    driver = platform()
    driver.restart(boot=True, make=machine(told=word, watchdog=True))
    assert asked(driver) == word


def test_a_watchdogs_mark():
    """A boot that nobody ordered and whose watchdog has left its mark."""
    driver = platform()
    driver.restart(boot=True, make=machine(watchdog=True))
    assert asked(driver) == R.WATCHDOG
    driver.restart(boot=True, make=machine())
    assert asked(driver) == R.POWER_UP


def test_a_lost_memory():
    """Without a memory of what was ordered, nothing but the machine's own marks can be told."""
    assert asked(platform(forgotten=True)) == R.UNKNOWN
    assert asked(platform(forgotten=True, watchdog=True)) == R.WATCHDOG


def test_a_boot_nobody_ordered():
    """The first start of all, and every boot without evidence; a second boot does not inherit the first one's."""
    driver = platform()
    assert asked(driver) == R.POWER_UP
    order(driver, R.REMOTE_RESET)
    driver.restart(boot=True)
    driver.restart(boot=True)
    assert asked(driver) == R.POWER_UP


@pytest.mark.parametrize(("was_told", "reason"), [(True, R.APPLICATION_RESET), (False, R.POWER_UP)])
def test_a_restart_of_the_service_alone(was_told, reason):
    """Whoever asks again in the same boot started anew with us; a mark of the boot says nothing about it."""
    driver = platform()
    if was_told:
        asked(driver)
    driver.restart(make=machine(watchdog=True))
    assert asked(driver) == reason


def test_a_start_in_place():
    """Nobody has started anew where the service only took up other modules: each module's EVerest hears the boot's."""
    driver = platform()
    assert asked(driver) == R.POWER_UP
    driver.restart(make=machine(watchdog=True, goes_on=True))
    assert asked(driver, module="other") == R.POWER_UP
    assert asked(driver) == R.POWER_UP
    driver.restart(make=machine())
    assert asked(driver) == R.APPLICATION_RESET


def test_the_first_row_that_holds_decides():
    """Every combination of evidence comes to the word of its first row, and no row is in vain."""
    decided = set()
    yes_no = (True, False)
    facts = [BootFacts(*each) for each in itertools.product((None, R.TRIGGERED), yes_no, yes_no, yes_no)]
    for fact, booted, ordered, was_told in itertools.product(facts, (True, False), (None, *ORDERED), (True, False)):
        found = Evidence(fact, booted, ordered, was_told)
        holding = [row for row in BOOT_REASONS if row.holds(found)]
        assert judge(found) == ((holding[0].reason or fact.told) if holding else None)
        if holding:
            decided.add(holding[0])
        else:
            assert (booted, was_told and not fact.goes_on, fact.forgotten) == (False, False, False)
    assert decided == set(BOOT_REASONS)


def test_the_page_has_these_rows():
    """docs/platforms.md shows the evidence as it is looked at."""
    page = (Path(__file__).parents[3] / "docs/platforms.md").read_text()
    rows = [f"| {number} | {row.seen} | {row.reason or 'that word'} |" for number, row in enumerate(BOOT_REASONS, 1)]
    assert "\n".join(rows) in page


def test_every_word_has_its_row():
    """All nine words can be said; Triggered only if the machine was told so."""
    assert {row.reason for row in BOOT_REASONS} | {R.TRIGGERED} == {None, *R}


# --- how long a word holds ---


@pytest.mark.parametrize("state", list(S))
def test_told_in_every_state(state):
    """EVerest's OCPP module ends without an answer; asking again in the same boot changes nothing."""
    driver = platform()
    if state is not S.IDLE:
        driver.take(HARD_LATER if state is S.RESET_PENDING else HARD)
    if state is S.RESETTING:
        driver.fire(Settled)
    assert driver.state is state
    assert [asked(driver), asked(driver)] == [R.POWER_UP] * 2


def test_kept_until_asked():
    """However often the service starts anew before EVerest asks, the boot has the same reason."""
    driver = platform()
    order(driver, R.SCHEDULED_RESET)
    driver.restart(boot=True)
    for _ in range(3):
        driver.restart()
    assert asked(driver) == R.SCHEDULED_RESET


def test_another_everest_in_the_same_boot():
    """One that starts anew by itself hears ApplicationReset, again and again; the one before keeps its word."""
    driver = platform()
    assert [asked(driver), asked(driver)] == [R.POWER_UP] * 2
    assert [asked(driver, life=1), asked(driver, life=1)] == [R.APPLICATION_RESET] * 2
    assert asked(driver, life=2) == R.APPLICATION_RESET
    assert [asked(driver, life=5, module="other"), asked(driver, life=5, module="other")] == [R.POWER_UP] * 2


@pytest.mark.parametrize(
    ("reset", "reason"),
    [
        (ResetRequested(ResetType.SOFT, R.REMOTE_RESET, busy=False), R.REMOTE_RESET),
        (ResetRequested(ResetType.SOFT, R.LOCAL_RESET, busy=False), R.LOCAL_RESET),
        (FirmwareRebootOrdered(restart=True), R.FIRMWARE_UPDATE),
    ],
)
def test_another_everest_that_was_ordered(reset, reason):
    """A restart of EVerest that was ordered is told as what it was ordered for; the next one by itself is not."""
    driver = platform()
    assert asked(driver) == R.POWER_UP
    driver.take(reset)
    if isinstance(reset, ResetRequested):
        driver.fire(Settled)
        driver.report(EverestRestartDone)
    assert [asked(driver, life=1), asked(driver, life=1)] == [reason] * 2
    assert asked(driver, life=2) == R.APPLICATION_RESET


def failed_restart(*, tries=1):
    """A platform that told a boot's reason, and could not restart EVerest."""
    driver = platform()
    assert asked(driver) == R.POWER_UP
    driver.take(ResetRequested(ResetType.SOFT, R.REMOTE_RESET, busy=False))
    driver.fire(Settled)
    for _ in range(tries - 1):
        driver.fire(ResetOverdue)
    return driver


@pytest.mark.parametrize("tries", [1, 3])
def test_a_restart_that_failed(tries):
    """EVerest lives on, so to the one that asks again the boot's reason is what it was."""
    driver = failed_restart(tries=tries)
    driver.report(ResetFailed, "denied")
    assert driver.state is S.IDLE
    assert [asked(driver), asked(driver, life=1)] == [R.POWER_UP, R.APPLICATION_RESET]


def test_a_restart_that_failed_after_all():
    """An EVerest that came up in between was told why it did, and hears the same again."""
    driver = failed_restart()
    assert asked(driver, life=1) == R.REMOTE_RESET
    driver.report(ResetFailed, "late")
    assert asked(driver, life=1) == R.REMOTE_RESET


def test_a_restart_that_failed_is_over():
    """A later one that fails takes back its own word only."""
    driver = failed_restart()
    driver.report(EverestRestartDone)
    assert asked(driver, life=1) == R.REMOTE_RESET
    driver.take(ResetRequested(ResetType.SOFT, R.LOCAL_RESET, busy=False))
    driver.fire(Settled)
    driver.report(ResetFailed, "denied")
    assert asked(driver, life=1) == R.REMOTE_RESET


def test_a_restart_that_failed_takes_no_updates_word():
    """An update that restarted EVerest while the reset gave way has explained the boot since."""
    driver = failed_restart()
    driver.take(FirmwareBusy())
    driver.take(FirmwareRebootOrdered(restart=True))
    driver.take(ResetRequested(ResetType.HARD, R.LOCAL_RESET, busy=True))
    driver.take(FirmwareSettled())
    driver.fire(ResetDue)
    driver.report(ResetFailed, "denied")
    assert asked(driver, life=1) == R.FIRMWARE_UPDATE


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("state", list(S))
def test_the_boot_into_new_firmware(state, restart):
    """L01.FR.32: boot reason FirmwareUpdate, also when only EVerest was restarted, whatever reset is on its way."""
    driver = platform()
    if state is not S.IDLE:
        driver.take(HARD_LATER if state is S.RESET_PENDING else HARD)
    if state is S.RESETTING:
        driver.fire(Settled)
    driver.take(FirmwareRebootOrdered(restart=restart))
    if not restart:
        driver.restart(boot=True)
    assert asked(driver) == R.FIRMWARE_UPDATE


def test_a_reboot_that_never_came_explains_no_later_boot():
    """When the update ends without its reboot, the next boot is not the update's."""
    driver = platform()
    driver.take(FirmwareRebootOrdered(restart=False))
    driver.take(FirmwareSettled())
    driver.restart(boot=True)
    assert asked(driver) == R.POWER_UP
