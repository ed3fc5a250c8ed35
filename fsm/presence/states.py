"""The states of EVerest's presence. They publish nothing; they open and shut the outbox."""

from enum import StrEnum


class PresenceState(StrEnum):
    """Whether EVerest listens, and whether its CSMS does."""

    ABSENT = "ABSENT"
    PRESENT = "PRESENT"
    REGISTERED = "REGISTERED"
