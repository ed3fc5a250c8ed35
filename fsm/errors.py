"""The three kinds of fault.

A bad request is the sender's fault, an event that is illegal in a state is ours, and everything else that goes wrong
is the world's. Only the middle one ends the process.
"""


class RequestError(ValueError):
    """A request from outside cannot be carried out as it stands; `str()` says in one line what is wrong with it."""


class IllegalEventError(AssertionError):
    """An event reached a machine in a state whose table calls it impossible: a bug of ours.

    Attributes:
        machine: the machine's name.
        state: the state it was, and still is, in.
        event: the event's name.
    """

    def __init__(self, machine: str, state: str, event: str) -> None:
        super().__init__(f"{event} is impossible in {state} of machine {machine}")
        self.machine, self.state, self.event = machine, state, event


class WorldError(Exception):
    """Work failed for a reason outside this program; `str()` is one line that names the culprit, without secrets."""


class CanceledError(Exception):
    """The work was canceled while it ran; it has left nothing behind that needs cleaning up."""
