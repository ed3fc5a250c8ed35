"""The states of the machine underneath. They publish nothing."""

from enum import StrEnum


class PlatformState(StrEnum):
    """Whether a reset is on its way."""

    IDLE = "IDLE"
    RESET_ACCEPTED = "RESET_ACCEPTED"
    RESET_PENDING = "RESET_PENDING"
    RESETTING = "RESETTING"
