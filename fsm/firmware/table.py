"""The transition table of a firmware update, and the way back into each of its states.

Orders of statuses that it gives (OCPP 2.0.1 L01, L02):
[DownloadScheduled] Downloading (DownloadPaused Downloading)* Downloaded, then for signed requests SignatureVerified or
InvalidSignature, then [InstallScheduled] Installing, then InstallVerificationFailed, InstallationFailed, or
[InstallRebooting] Installed.
"""

from everest_system.fsm.events import (
    Event,
    EverestRestarted,
    Proceeding,
    ResumedTooOften,
    RetryTimeReached,
    Settled,
    StatusDelivered,
    StatusSending,
    WordsLost,
)
from everest_system.fsm.firmware.events import (
    ArtifactUnfit,
    Booted,
    BootedTooOften,
    Confirmed,
    DownloadAttemptFailed,
    DownloadFinished,
    DownloadInterrupted,
    DownloadRefused,
    DownloadTimedOut,
    FirmwareUnhealthy,
    HealthCheckDue,
    InstallFailed,
    InstallFinished,
    InstallTimeReached,
    NothingToVerify,
    OldFirmwareFound,
    PartKept,
    PauseRequested,
    PermissionGiven,
    PermissionTimedOut,
    RebootDue,
    RebootFailed,
    RebootOverdue,
    ResumeRequested,
    RetrieveTimeReached,
    RollBackFailed,
    RolledBack,
    SignatureInvalid,
    SignatureVerified,
    UpdateRequested,
)
from everest_system.fsm.firmware.states import FirmwareState
from everest_system.fsm.table import Row, StateRows

S = FirmwareState

# What may come at any time, from EVerest, the operator and the outbox.
_FROM_OUTSIDE: tuple[type[Event], ...] = (
    UpdateRequested, PermissionGiven, PauseRequested, ResumeRequested,
    EverestRestarted, WordsLost, StatusSending, StatusDelivered,
)  # fmt: skip
_DOWNLOAD: tuple[type[Event], ...] = (
    PartKept, DownloadFinished, DownloadInterrupted, DownloadAttemptFailed, DownloadRefused,
)  # fmt: skip
_CHECK: tuple[type[Event], ...] = (SignatureVerified, NothingToVerify, SignatureInvalid, ArtifactUnfit)
_INSTALL: tuple[type[Event], ...] = (InstallFinished, InstallFailed)
_BOOT: tuple[type[Event], ...] = (RebootFailed, Booted, Confirmed, OldFirmwareFound, FirmwareUnhealthy)
_BACK: tuple[type[Event], ...] = (RolledBack, RollBackFailed)
_TIMERS: tuple[type[Event], ...] = (
    Settled, RetrieveTimeReached, RetryTimeReached, InstallTimeReached,
    DownloadTimedOut, PermissionTimedOut, RebootDue, RebootOverdue, HealthCheckDue,
)  # fmt: skip

EVENTS: tuple[type[Event], ...] = (
    *_FROM_OUTSIDE, *_DOWNLOAD, *_CHECK, *_INSTALL, *_BOOT, *_BACK, *_TIMERS,
    Proceeding, ResumedTooOften, BootedTooOften,
)  # fmt: skip


def _state(*rows: Row, ignored: tuple[type[Event], ...] = _FROM_OUTSIDE, enter: str | None = None) -> StateRows:
    """Rows over a ground of: what comes from outside is ignored, what we cause ourselves is impossible."""
    named = {row.event for row in rows}
    ground = tuple(event for event in ignored if event not in named)
    rest = tuple(event for event in EVENTS if event not in named and event not in ignored)
    return StateRows(*rows, ignored=ground, impossible=rest, enter=enter)


_NEW_REQUEST = Row(UpdateRequested, S.ACCEPTED, do="accept")
_CANCEL      = Row(UpdateRequested, S.CANCELED)  # fmt: skip
_REJECT      = Row(UpdateRequested, do="reject")  # fmt: skip
# From the trigger status on a permission is taken and kept, before it is ignored, be it left over or early.
_LISTEN      = Row(StatusSending, when="is_trigger", do="arm_permission")  # fmt: skip
_KEEP        = Row(PermissionGiven, when="armed", do="keep_permission")  # fmt: skip
_HEARD       = Row(StatusDelivered, when="is_last_word", do="release_reset")  # fmt: skip
_FORGET      = Row(EverestRestarted, do="forget_permission")  # fmt: skip
_DOUBT       = Row(WordsLost, when="armed_in_vain", do="doubt_permission")  # fmt: skip

# fmt: off
TABLE: dict[FirmwareState, StateRows] = {
    S.IDLE: _state(_NEW_REQUEST),
    S.ACCEPTED: _state(
        Row(Settled, S.DOWNLOAD_SCHEDULED, when="retrieve_time_ahead"),
        Row(Settled, S.DOWNLOADING),
        _CANCEL,
        enter="wait_until_settled",
    ),
    S.DOWNLOAD_SCHEDULED: _state(
        Row(RetrieveTimeReached, S.DOWNLOADING),
        _CANCEL,
        enter="wait_for_retrieve_time",
    ),
    S.DOWNLOADING: _state(
        Row(PartKept,              do="keep_part"),
        Row(DownloadFinished,      S.DOWNLOADED,               do="keep_artifact"),
        Row(DownloadInterrupted,   S.DOWNLOAD_PAUSED,          when="may_continue", do="count_interruption"),
        Row(DownloadInterrupted,   S.DOWNLOAD_FAILED,          do="keep_reason"),
        Row(DownloadAttemptFailed, S.DOWNLOAD_RETRY_SCHEDULED, when="attempts_left", do="count_attempt"),
        Row(DownloadAttemptFailed, S.DOWNLOAD_FAILED,          do="keep_reason"),
        Row(DownloadRefused,       S.DOWNLOAD_FAILED,          do="keep_reason"),
        Row(DownloadTimedOut,      S.DOWNLOAD_FAILED,          do="give_up_download"),
        Row(ResumedTooOften,       S.DOWNLOAD_FAILED,          do="keep_reason"),
        Row(PauseRequested,        S.DOWNLOAD_PAUSED,          do="hold_download"),
        _CANCEL,
        enter="start_download",
    ),
    S.DOWNLOAD_PAUSED: _state(
        Row(RetryTimeReached, S.DOWNLOADING),
        Row(ResumeRequested,  S.DOWNLOADING, do="release_download"),
        Row(PauseRequested,   when="not_held", do="hold_download"),
        Row(DownloadTimedOut, S.DOWNLOAD_FAILED, do="give_up_download"),
        _CANCEL,
    ),
    S.DOWNLOAD_RETRY_SCHEDULED: _state(
        Row(RetryTimeReached, S.DOWNLOADING),
        Row(PauseRequested,   S.DOWNLOAD_PAUSED, do="hold_download"),
        Row(DownloadTimedOut, S.DOWNLOAD_FAILED, do="give_up_download"),
        _CANCEL,
    ),
    S.DOWNLOADED: _state(
        Row(SignatureVerified, S.SIGNATURE_VERIFIED, do="keep_verified"),
        Row(NothingToVerify,   S.INSTALL_SCHEDULED,   when="install_time_ahead", do="keep_target"),
        Row(NothingToVerify,   S.INSTALLING,          when="permitted", do="keep_target"),
        Row(NothingToVerify,   S.AWAITING_PERMISSION, do="keep_target"),
        Row(SignatureInvalid,  S.INVALID_SIGNATURE,   do="keep_reason"),
        # A faulty bundle goes at once through INSTALLING to its end: nothing is installed, and nothing waited for.
        Row(ArtifactUnfit,     S.SIGNATURE_VERIFIED,  when="is_signed", do="keep_unfit"),
        Row(ArtifactUnfit,     S.INSTALLING,          do="keep_unfit"),
        Row(InstallFailed,     S.SIGNATURE_VERIFIED,  when="is_signed", do="keep_failed"),
        Row(InstallFailed,     S.INSTALLING,          do="keep_failed"),
        # What the signature is worth nobody could tell: not SignatureVerified, and not InvalidSignature either.
        Row(ResumedTooOften,   S.INSTALLATION_FAILED, do="keep_reason"),
        _LISTEN, _KEEP, _FORGET, _DOUBT, _CANCEL,
        enter="check_artifact",
    ),
    S.SIGNATURE_VERIFIED: _state(
        Row(Proceeding, S.INSTALLING,        when="is_faulty"),
        Row(Proceeding, S.INSTALL_SCHEDULED, when="install_time_ahead"),
        Row(Proceeding, S.INSTALLING,        when="permitted"),
        Row(Proceeding, S.AWAITING_PERMISSION),
        ignored=(),  # it is left before anything else can come
        enter="go_on",
    ),
    S.INSTALL_SCHEDULED: _state(
        Row(InstallTimeReached, S.INSTALLING, when="permitted"),
        Row(InstallTimeReached, S.AWAITING_PERMISSION, do="note_unasked"),
        _LISTEN, _KEEP, _FORGET, _DOUBT, _CANCEL,
        enter="wait_for_install_time",
    ),
    S.AWAITING_PERMISSION: _state(
        Row(PermissionGiven,    S.INSTALLING, when="armed", do="keep_permission"),
        Row(PermissionTimedOut, S.INSTALLATION_FAILED, do="note_no_permission"),
        Row(EverestRestarted,   do="ask_new_everest"),
        Row(WordsLost,          when="armed_in_vain", do="ask_everest_again"),
        Row(Proceeding,         S.INSTALLING, when="permitted"),  # the configuration changed between two starts
        _LISTEN, _CANCEL,
        enter="wait_for_permission",
    ),
    S.INSTALLING: _state(
        Row(Proceeding,       S.INSTALL_VERIFICATION_FAILED, when="is_unfit"),
        Row(Proceeding,       S.INSTALLATION_FAILED,         when="is_faulty"),
        Row(Proceeding,       do="start_install"),
        Row(InstallFinished,  S.INSTALLED,                   when="is_active_at_once", do="keep_activation"),
        Row(InstallFinished,  S.REBOOTING,                   do="keep_activation"),
        Row(ArtifactUnfit,    S.INSTALL_VERIFICATION_FAILED, do="keep_reason"),
        Row(SignatureInvalid, S.INSTALL_VERIFICATION_FAILED, do="keep_reason"),  # too late for InvalidSignature
        # Cut short before, it may have come as far as activating: what could not be finished is taken back.
        Row(InstallFailed,    S.ROLLING_BACK,                when="was_resumed", do="keep_reason"),
        Row(InstallFailed,    S.INSTALLATION_FAILED,         do="keep_reason"),
        Row(ResumedTooOften,  S.ROLLING_BACK,                do="keep_reason"),
        _REJECT,
        enter="go_on",
    ),
    S.REBOOTING: _state(
        Row(StatusDelivered, when="is_announcement", do="start_grace"),
        Row(RebootDue,       do="activate"),
        Row(RebootFailed,    when="may_reboot_again", do="reboot_again"),
        Row(RebootFailed,    S.ROLLING_BACK, do="keep_reason"),
        Row(RebootOverdue,   when="may_reboot_again", do="reboot_again"),
        Row(RebootOverdue,   S.ROLLING_BACK, do="note_no_reboot"),
        Row(Booted,          S.CONFIRMING),
        _REJECT,
        enter="announce_reboot",
    ),
    S.CONFIRMING: _state(
        Row(Confirmed,         S.INSTALLED, do="forget_reason"),
        Row(OldFirmwareFound,  S.INSTALLATION_FAILED, do="keep_reason"),
        Row(FirmwareUnhealthy, when="checks_left", do="count_check"),
        Row(FirmwareUnhealthy, S.ROLLING_BACK, do="keep_reason"),
        Row(HealthCheckDue,    do="check_health"),
        # A firmware that takes the machine, or us, down each time is no good one.
        Row(BootedTooOften,    S.ROLLING_BACK, do="keep_reason"),
        Row(ResumedTooOften,   S.ROLLING_BACK, do="keep_reason"),
        _REJECT,
        enter="confirm",
    ),
    S.ROLLING_BACK: _state(
        Row(RolledBack,      S.INSTALLATION_FAILED, do="return_to_old"),
        Row(RollBackFailed,  S.INSTALLATION_FAILED, do="note_no_way_back"),
        Row(ResumedTooOften, S.INSTALLATION_FAILED, do="note_no_way_back"),
        _REJECT,
        enter="roll_back",
    ),
    S.INSTALLED:                   _state(_NEW_REQUEST, _HEARD, enter="end"),
    S.DOWNLOAD_FAILED:             _state(_NEW_REQUEST, _HEARD, enter="end"),
    S.INVALID_SIGNATURE:           _state(_NEW_REQUEST, _HEARD, enter="end"),
    S.INSTALL_VERIFICATION_FAILED: _state(_NEW_REQUEST, _HEARD, enter="end"),
    S.INSTALLATION_FAILED:         _state(_NEW_REQUEST, _HEARD, enter="end"),
    S.CANCELED:                    _state(_NEW_REQUEST, enter="make_way"),  # left at once for the new request
}

# What a start of the service orders again, unless the step was resumed too often (REBOOTING has a count of its own).
# Timers need no row: they are made anew from the snapshot.
RECOVERY: dict[FirmwareState, str] = {
    S.IDLE:                        "nothing",
    S.ACCEPTED:                    "nothing",
    S.DOWNLOAD_SCHEDULED:          "nothing",
    S.DOWNLOADING:                 "download_on",
    S.DOWNLOAD_PAUSED:             "nothing",
    S.DOWNLOAD_RETRY_SCHEDULED:    "nothing",
    S.DOWNLOADED:                  "check_again",
    S.SIGNATURE_VERIFIED:          "go_on",
    S.INSTALL_SCHEDULED:           "forget_permission",
    S.AWAITING_PERMISSION:         "wait_on",
    S.INSTALLING:                  "install_on",
    S.REBOOTING:                   "look_for_boot",
    S.CONFIRMING:                  "confirm_on",
    S.ROLLING_BACK:                "roll_back",
    S.INSTALLED:                   "clean_up",
    S.DOWNLOAD_FAILED:             "clean_up",
    S.INVALID_SIGNATURE:           "clean_up",
    S.INSTALL_VERIFICATION_FAILED: "clean_up",
    S.INSTALLATION_FAILED:         "clean_up",
    S.CANCELED:                    "clean_up",
}
# fmt: on
