"""What a station's configuration says about its firmware updates."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FirmwareRules:
    """The configured part of an update's behaviour; durations in seconds, from 0 on.

    Attributes:
        settle_s: between the reply and the first status.
        default_retries: attempts in all, where the request names none.
        default_retry_interval_s: between attempts, where the request names none.
        report_each_attempt: DownloadFailed after every failed attempt, not only after the last one.
        permission_required: whether an installation waits for `allow_firmware_installation`.
        permission_timeout_s: how long it waits; 0 is for as long as it takes.
        download_timeout_s: all attempts together.
        reboot_grace_s: between the delivered InstallRebooting and the reboot.
        health_check_retries: attempts in all to find new firmware healthy, in each boot; from 1 on.
        health_check_interval_s: between two of them.
        confirm_boots: how many boots of new firmware may begin before it has proved healthy; from 1 on.
    """

    settle_s: float = 0.5
    default_retries: int = 3
    default_retry_interval_s: float = 60
    report_each_attempt: bool = True
    permission_required: bool = True
    permission_timeout_s: float = 0
    download_timeout_s: float = 86400
    reboot_grace_s: float = 5
    health_check_retries: int = 3
    health_check_interval_s: float = 10
    confirm_boots: int = 3
