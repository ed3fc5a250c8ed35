"""What can go wrong on EVerest's side."""

from everest_system.fsm.errors import WorldError


class EverestSideError(WorldError):
    """EVerest's side does not run: it could not connect, or it has ended."""


class NoReplyError(EverestSideError):
    """No well-formed reply came in time."""


class NoStatusError(EverestSideError):
    """The status waited for did not come in time."""
