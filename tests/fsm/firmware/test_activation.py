"""The activation: reboots, the firmware found after them, the way back."""

import pytest
from support.firmware_driver import FirmwareDriver, S

from everest_system.fsm.firmware.events import (
    Booted,
    Confirmed,
    FirmwareUnhealthy,
    HealthCheckDue,
    InstallFinished,
    OldFirmwareFound,
    RebootDue,
    RebootFailed,
    RebootOverdue,
    RollBackFailed,
    RolledBack,
)
from everest_system.fsm.messages import BootReason, ResetType
from everest_system.fsm.orders import ActivateByReboot, ActivateByRestart, ConfirmInstall, RollBack, StopWork
from everest_system.fsm.platform.events import FirmwareBusy, FirmwareRebootOrdered, FirmwareSettled, ResetRequested


def installed(activation, **rules):
    """An update that has just been installed."""
    update = FirmwareDriver.at(S.INSTALLING, **rules)
    update.report(InstallFinished, activation)
    return update


def order_of(activation):
    return ActivateByReboot if activation == "reboot" else ActivateByRestart


def test_firmware_that_is_active_at_once_is_installed():
    """Activation = none: Installed without a reboot."""
    update = installed("none")
    assert update.words[-2:] == ["Installing", "Installed"]
    assert (update.ordered(ActivateByReboot), update.snapshot.timers) == ([], {})


@pytest.mark.parametrize("activation", ["reboot", "restart"])
def test_the_reboot_waits_until_its_announcement_is_heard(activation):
    """L01.FR.32: InstallRebooting is heard, the grace passes, then comes the reboot, and the platform knows why."""
    update = installed(activation, reboot_grace_s=5)
    update.deliver("Installing")
    assert update.left(RebootDue) == 60
    update.deliver("InstallRebooting")
    assert update.left(RebootDue) == 5
    update.fire(RebootDue)
    assert len(update.ordered(order_of(activation))) == 1
    assert update.told == [FirmwareBusy(), FirmwareRebootOrdered(restart=activation == "restart")]
    assert update.left(RebootOverdue) == 300
    assert update.words[-1] == "InstallRebooting"


def test_the_reboot_waits_for_its_announcement_a_minute_at_most():
    """An EVerest that is away does not keep the machine from booting."""
    update = installed("reboot")
    assert update.left(RebootDue) == 60
    update.fire(RebootDue)
    assert len(update.ordered(ActivateByReboot)) == 1


def test_an_announcement_heard_late_changes_nothing():
    """Once the reboot is ordered, it is not ordered again when its announcement is heard after all."""
    update = installed("reboot")
    update.fire(RebootDue)
    assert not update.deliver("InstallRebooting").taken
    assert update.waits_for(RebootOverdue)


def test_a_crash_in_the_grace_leaves_it_running():
    """A restart of ours before the reboot was ordered waits for what is left, and orders nothing twice."""
    update = installed("reboot")
    update.deliver("InstallRebooting")
    update.clock.advance(2)
    update.restart()
    assert (update.state, update.left(RebootDue)) == (S.REBOOTING, 3)
    assert update.ordered(ActivateByReboot) == []


@pytest.mark.parametrize("ordered", [False, True], ids=["power cut in the grace", "the boot that was ordered"])
def test_another_boot_is_the_boot(ordered):
    """A start with another boot id looks which firmware runs, also if the power went before the reboot was ordered."""
    update = installed("reboot")
    if ordered:
        update.fire(RebootDue)
    update.restart(boot=True)
    assert update.state is S.CONFIRMING
    assert update.snapshot.timers == {}
    (order,) = update.ordered(ConfirmInstall)
    assert order.target == "slot-b"


def test_a_restart_of_everest_that_is_done_is_confirmed():
    """Activation = restart: no boot is needed."""
    update = installed("restart")
    update.fire(RebootDue)
    update.report(Booted)
    update.report(Confirmed)
    assert update.words[-2:] == ["InstallRebooting", "Installed"]


def fails(update):
    update.report(RebootFailed, "the program failed")


def never_comes(update):
    update.fire(RebootOverdue)


def starts_in_the_same_boot(update):
    update.restart()


@pytest.mark.parametrize("goes_wrong", [fails, never_comes, starts_in_the_same_boot])
@pytest.mark.parametrize("activation", ["reboot", "restart"])
def test_a_reboot_that_does_not_come_is_ordered_three_times(goes_wrong, activation):
    """After the third time the old firmware is put back; as the new one never ran, nothing needs a boot for that."""
    update = installed(activation)
    for times in (1, 2, 3):
        update.fire(RebootDue)
        assert len(update.ordered(order_of(activation))) == times
        goes_wrong(update)
    assert update.state is S.ROLLING_BACK
    reason = "the program failed" if goes_wrong is fails else "the reboot was ordered 3 times and did not come"
    assert update.snapshot.reason == reason
    update.report(RolledBack, activation)
    assert update.words[-2:] == ["InstallRebooting", "InstallationFailed"]
    assert not any(isinstance(event, ResetRequested) for event in update.told)


def test_a_reboot_that_hangs_is_stopped_before_the_next():
    """The order of the next reboot does not queue up behind one that hangs, and what that one says late is dropped."""
    update = installed("restart")
    update.fire(RebootDue)
    hanging = update.snapshot.work
    update.fire(RebootOverdue)
    assert update.ordered(StopWork)
    assert not update.take(Booted(hanging)).taken
    assert not update.take(RebootFailed(hanging, "late")).taken


def test_a_reboot_that_comes_on_the_second_order_is_good():
    """A reboot that failed once does the update no harm."""
    update = installed("reboot")
    update.fire(RebootDue)
    update.report(RebootFailed, "busy")
    update.reboot()
    update.report(Confirmed)
    assert update.state is S.INSTALLED


@pytest.mark.parametrize(
    ("event", "facts", "words"),
    [(Confirmed, (), ["Installed"]), (OldFirmwareFound, ("the bootloader fell back",), ["InstallationFailed"])],
)
def test_what_is_found_after_the_boot_decides(event, facts, words):
    """L01.FR.28: Installed only from the new firmware; found in the old one, the installation has failed."""
    update = FirmwareDriver.at(S.CONFIRMING)
    before = len(update.words)
    update.report(event, *facts)
    assert update.words[before:] == words
    assert update.snapshot.reason == "".join(facts)
    assert update.ordered(RollBack) == []


@pytest.mark.parametrize("boot", [False, True])
@pytest.mark.parametrize("state", [S.INSTALLING, S.REBOOTING, S.ROLLING_BACK])
def test_a_boot_nobody_ordered_may_have_started_the_new_firmware(state, boot):
    """A power cut behind the swap of the slots boots the new firmware: rolled back, the station leaves it."""
    update = FirmwareDriver.at(S.INSTALLING)
    if state is S.INSTALLING:
        update.restart(boot=boot)
    update.report(InstallFinished, "reboot")
    if state is S.REBOOTING:
        update.restart(boot=boot)
    if update.state is S.CONFIRMING:
        update.fail_health_checks()
    else:
        for _ in range(3):
            update.fire(RebootDue)
            update.report(RebootFailed, "the program failed")
    if state is S.ROLLING_BACK:
        update.restart(boot=boot)
    update.report(RolledBack, "reboot")
    assert update.words[-2:] == ["InstallRebooting", "InstallationFailed"]
    reset = ResetRequested(ResetType.HARD, BootReason.FIRMWARE_UPDATE, busy=True)
    assert update.told.count(reset) == int(boot)


@pytest.mark.parametrize("boot", [False, True])
def test_looking_is_repeated_after_a_crash(boot):
    """A crash while confirming or rolling back begins that again."""
    update = FirmwareDriver.at(S.CONFIRMING)
    update.restart(boot=boot)
    assert len(update.ordered(ConfirmInstall)) == 2
    update.fail_health_checks()
    update.restart(boot=boot)
    assert len(update.ordered(RollBack)) == 2


def test_firmware_that_is_not_well_yet_is_looked_at_again():
    """What a boot starts may take its time: the check is tried again after the interval, and one good one is enough."""
    update = FirmwareDriver.at(S.CONFIRMING, health_check_retries=3, health_check_interval_s=20)
    for checks in (1, 2):
        update.report(FirmwareUnhealthy, "EVerest does not answer")
        assert (update.state, update.left(HealthCheckDue)) == (S.CONFIRMING, 20)
        assert update.snapshot.reason == "EVerest does not answer"
        update.fire(HealthCheckDue)
        assert len(update.ordered(ConfirmInstall)) == 1 + checks
    update.report(Confirmed)
    assert (update.state, update.snapshot.timers, update.snapshot.reason) == (S.INSTALLED, {}, "")


@pytest.mark.parametrize("retries", [1, 2, 5])
def test_health_checks_come_to_an_end(retries):
    """After so many attempts in all the firmware is unhealthy, and rolled back."""
    update = FirmwareDriver.at(S.CONFIRMING, health_check_retries=retries)
    update.fail_health_checks()
    assert (update.state, update.snapshot.timers) == (S.ROLLING_BACK, {})
    assert len(update.ordered(ConfirmInstall)) == retries


def test_a_crash_between_two_health_checks_leaves_the_wait_running():
    """A restart of ours waits for what is left of the interval, and counts the attempts on."""
    update = FirmwareDriver.at(S.CONFIRMING, health_check_retries=2, health_check_interval_s=20)
    update.report(FirmwareUnhealthy, "no answer")
    update.clock.advance(15)
    update.restart()
    assert (update.left(HealthCheckDue), len(update.ordered(ConfirmInstall))) == (5, 1)
    update.fire(HealthCheckDue)
    update.report(FirmwareUnhealthy, "no answer")
    assert update.state is S.ROLLING_BACK


def test_another_boot_begins_the_health_checks_anew():
    """What was found in the boot before says nothing of this one: looked at once, and as often as in the first."""
    update = FirmwareDriver.at(S.CONFIRMING, health_check_retries=2)
    update.report(FirmwareUnhealthy, "no answer")
    update.restart(boot=True)
    assert (update.snapshot.timers, len(update.ordered(ConfirmInstall))) == ({}, 2)
    update.report(FirmwareUnhealthy, "no answer")
    assert update.waits_for(HealthCheckDue)


@pytest.mark.parametrize(("confirm_boots", "times"), [(1, "once"), (2, "2 times"), (3, "3 times")])
def test_firmware_that_takes_the_machine_down_does_not_boot_for_ever(confirm_boots, times):
    """So many boots may begin before it is healthy; one more, and it is rolled back, left, and has failed."""
    update = FirmwareDriver.at(S.CONFIRMING, confirm_boots=confirm_boots)
    for boots in range(2, confirm_boots + 1):
        update.restart(boot=True)
        assert (update.state, update.snapshot.boots) == (S.CONFIRMING, boots)
    update.restart(boot=True)
    reason = f"the new firmware was booted {times}, and went down before it had proved healthy"
    assert (update.state, update.snapshot.reason) == (S.ROLLING_BACK, reason)
    assert len(update.ordered(ConfirmInstall)) == confirm_boots
    assert len(update.ordered(RollBack)) == 1
    update.report(RolledBack, "reboot")
    assert update.words[-1] == "InstallationFailed"
    assert ResetRequested(ResetType.HARD, reason=BootReason.FIRMWARE_UPDATE, busy=True) in update.told


def test_a_restart_of_ours_is_no_boot():
    """Where a second boot is a failure, a second start of the service is none."""
    update = FirmwareDriver.at(S.CONFIRMING, confirm_boots=1)
    update.restart()
    update.restart()
    update.report(Confirmed)
    assert update.state is S.INSTALLED


def test_a_power_cut_behind_a_restart_of_everest_is_one_boot_more():
    """Activation = restart: the boot that it took place in is the first one."""
    update = installed("restart", confirm_boots=1)
    update.fire(RebootDue)
    update.report(Booted)
    update.restart(boot=True)
    assert update.state is S.ROLLING_BACK


@pytest.mark.parametrize(
    ("activation", "kind"), [("reboot", ResetType.HARD), ("restart", ResetType.SOFT), ("none", None)]
)
def test_unhealthy_firmware_is_left_once_its_end_is_heard(activation, kind):
    """The old firmware is put back, and made the active one by a reset that waits for the end status."""
    update = FirmwareDriver.at(S.ROLLING_BACK)
    (order,) = update.ordered(RollBack)
    assert order.target == "slot-b"
    told = len(update.told)
    update.report(RolledBack, activation)
    assert (update.words[-1], update.snapshot.reason) == ("InstallationFailed", "the health check failed")
    reset = [ResetRequested(kind, reason=BootReason.FIRMWARE_UPDATE, busy=True)] if kind else []
    assert update.told[told:] == [*reset, FirmwareSettled()]


def test_no_way_back_is_said_with_both_reasons():
    """When rolling back fails too, the update ends all the same."""
    update = FirmwareDriver.at(S.ROLLING_BACK)
    update.report(RollBackFailed, "the slot is gone")
    assert update.words[-1] == "InstallationFailed"
    assert update.snapshot.reason == "the health check failed; and rolling back failed: the slot is gone"
