"""The states of a firmware update, and the status that each of them publishes.

The rules that the states stand for:

- A status is published on entering a state, never for progress, and each accepted request ends in one end state.
- The state is not the word on the wire: `STATUS` gives each state its word, or none.
- From INSTALLING to ROLLING_BACK an update cannot be interrupted: a new request is Rejected, a reset has to wait.
- Every other state on the way can be left by a new request, through CANCELED.
"""

from enum import StrEnum

from everest_system.fsm.messages import FirmwareUpdateStatusEnum as Word


class FirmwareState(StrEnum):
    """Where an update stands."""

    IDLE = "IDLE"
    ACCEPTED = "ACCEPTED"
    DOWNLOAD_SCHEDULED = "DOWNLOAD_SCHEDULED"
    DOWNLOADING = "DOWNLOADING"
    DOWNLOAD_PAUSED = "DOWNLOAD_PAUSED"
    DOWNLOAD_RETRY_SCHEDULED = "DOWNLOAD_RETRY_SCHEDULED"
    DOWNLOADED = "DOWNLOADED"
    SIGNATURE_VERIFIED = "SIGNATURE_VERIFIED"
    INSTALL_SCHEDULED = "INSTALL_SCHEDULED"
    AWAITING_PERMISSION = "AWAITING_PERMISSION"
    INSTALLING = "INSTALLING"
    REBOOTING = "REBOOTING"
    CONFIRMING = "CONFIRMING"
    ROLLING_BACK = "ROLLING_BACK"
    INSTALLED = "INSTALLED"
    DOWNLOAD_FAILED = "DOWNLOAD_FAILED"
    INVALID_SIGNATURE = "INVALID_SIGNATURE"
    INSTALL_VERIFICATION_FAILED = "INSTALL_VERIFICATION_FAILED"
    INSTALLATION_FAILED = "INSTALLATION_FAILED"
    CANCELED = "CANCELED"


S = FirmwareState

STATUS: dict[FirmwareState, Word | None] = {
    S.IDLE:                        None,  # OCPP allows Idle only as an answer to a trigger, which EVerest gives
    S.ACCEPTED:                    None,
    S.DOWNLOAD_SCHEDULED:          Word.DOWNLOAD_SCHEDULED,
    S.DOWNLOADING:                 Word.DOWNLOADING,
    S.DOWNLOAD_PAUSED:             Word.DOWNLOAD_PAUSED,
    S.DOWNLOAD_RETRY_SCHEDULED:    Word.DOWNLOAD_FAILED,  # only where every attempt is reported
    S.DOWNLOADED:                  Word.DOWNLOADED,
    S.SIGNATURE_VERIFIED:          Word.SIGNATURE_VERIFIED,
    S.INSTALL_SCHEDULED:           Word.INSTALL_SCHEDULED,
    S.AWAITING_PERMISSION:         None,
    S.INSTALLING:                  Word.INSTALLING,
    S.REBOOTING:                   Word.INSTALL_REBOOTING,
    S.CONFIRMING:                  None,
    S.ROLLING_BACK:                None,
    S.INSTALLED:                   Word.INSTALLED,
    S.DOWNLOAD_FAILED:             Word.DOWNLOAD_FAILED,
    S.INVALID_SIGNATURE:           Word.INVALID_SIGNATURE,
    S.INSTALL_VERIFICATION_FAILED: Word.INSTALL_VERIFICATION_FAILED,
    S.INSTALLATION_FAILED:         Word.INSTALLATION_FAILED,
    S.CANCELED:                    Word.INSTALLATION_FAILED,  # before the download was complete: DownloadFailed
}  # fmt: skip

ENDS = frozenset(
    {
        S.INSTALLED,
        S.DOWNLOAD_FAILED,
        S.INVALID_SIGNATURE,
        S.INSTALL_VERIFICATION_FAILED,
        S.INSTALLATION_FAILED,
        S.CANCELED,
    }
)

UNINTERRUPTIBLE = frozenset({S.INSTALLING, S.REBOOTING, S.CONFIRMING, S.ROLLING_BACK})

# OCPP 1.6 has no words for these two: EVerest swallows them for a request without an id, and the connectors stay away.
WITHOUT_REQUEST_ID = {
    Word.INVALID_SIGNATURE:          Word.INSTALLATION_FAILED,
    Word.INSTALL_VERIFICATION_FAILED: Word.INSTALLATION_FAILED,
}  # fmt: skip
