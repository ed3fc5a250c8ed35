"""The transition table of the machine underneath, and the way back into each of its states."""

from everest_system.fsm.events import Event, Settled
from everest_system.fsm.platform.events import (
    BootReasonAsked,
    EverestRestartDone,
    FirmwareBusy,
    FirmwareHeard,
    FirmwareRebootOrdered,
    FirmwareSettled,
    MachineBooted,
    ResetDue,
    ResetFailed,
    ResetOverdue,
    ResetRequested,
)
from everest_system.fsm.platform.states import PlatformState
from everest_system.fsm.table import Row, StateRows

S = PlatformState

EVENTS: tuple[type[Event], ...] = (
    ResetRequested, BootReasonAsked, FirmwareRebootOrdered, FirmwareBusy, FirmwareSettled, FirmwareHeard,
    MachineBooted, Settled, ResetDue, ResetOverdue, ResetFailed, EverestRestartDone,
)  # fmt: skip

_ASKED = Row(BootReasonAsked, do="tell_boot_reason")
_FIRMWARE = Row(FirmwareRebootOrdered, do="intend_firmware_boot")

# fmt: off
TABLE: dict[PlatformState, StateRows] = {
    S.IDLE: StateRows(
        Row(ResetRequested, S.RESET_PENDING,  when="is_busy", do="accept"),
        Row(ResetRequested, S.RESET_ACCEPTED, do="accept"),
        Row(FirmwareSettled, do="forget_intention"),
        _ASKED, _FIRMWARE,
        ignored=(FirmwareBusy, FirmwareHeard, MachineBooted),
        impossible=(Settled, ResetDue, ResetOverdue, ResetFailed, EverestRestartDone),
        enter="rest",
    ),
    S.RESET_ACCEPTED: StateRows(
        Row(Settled,        S.RESETTING),
        Row(FirmwareBusy,   S.RESET_PENDING, do="wait_for_next_end"),
        Row(MachineBooted,  S.IDLE),
        Row(ResetRequested, when="goes_further", do="go_further"),
        _ASKED, _FIRMWARE,
        ignored=(FirmwareSettled, FirmwareHeard),  # the reset interrupts no update, and waits for none
        impossible=(ResetDue, ResetOverdue, ResetFailed, EverestRestartDone),
        enter="let_answer_out",
    ),
    S.RESET_PENDING: StateRows(
        Row(ResetRequested,  when="goes_further", do="go_further"),
        Row(FirmwareBusy,    do="wait_for_next_end"),
        Row(FirmwareSettled, do="wait_for_delivery"),
        Row(FirmwareHeard,   S.RESETTING),
        Row(ResetDue,        S.RESETTING),
        _ASKED, _FIRMWARE,
        ignored=(MachineBooted,),  # the reset goes on waiting for the end status
        impossible=(Settled, ResetOverdue, ResetFailed, EverestRestartDone),
    ),
    S.RESETTING: StateRows(
        Row(ResetRequested,     S.RESETTING, when="goes_further", do="go_further_now"),  # else one is enough
        Row(MachineBooted,      S.IDLE),
        Row(EverestRestartDone, S.IDLE),
        Row(FirmwareBusy,       S.RESET_PENDING, do="give_way"),
        Row(ResetFailed,        S.IDLE,      do="give_up"),
        Row(ResetOverdue,       S.RESETTING, when="may_try_again", do="stop_work"),
        Row(ResetOverdue,       S.IDLE,      do="give_up"),
        _ASKED, _FIRMWARE,
        ignored=(FirmwareSettled, FirmwareHeard),
        impossible=(Settled, ResetDue),
        enter="reset",
    ),
}

# What a start of the service orders again. Timers need no row: they are made anew from the snapshot.
RECOVERY: dict[PlatformState, str] = {
    S.IDLE:           "look_for_boot",
    S.RESET_ACCEPTED: "look_for_boot_instead",
    S.RESET_PENDING:  "look_for_boot",
    S.RESETTING:      "look_for_reset",
}
# fmt: on
