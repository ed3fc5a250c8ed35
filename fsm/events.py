"""Facts, as they come to the machines; here those that more than one machine knows.

An event says what has happened; what follows from it stands in the tables. Each accepted request is a job with a
number, and each piece of work ordered for it has a number too. Timers and the outbox bring back the job's, work brings
back its own, and a machine drops what carries another: nothing of a canceled job reaches its successor, and nothing of
work that was stopped arrives at all. A timer's name is the name of its event.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events."""


@dataclass(frozen=True, slots=True)
class JobEvent(Event):
    """An event that belongs to one job, and is dropped when the machine has gone on to another."""

    job: int


@dataclass(frozen=True, slots=True)
class WorkEvent(Event):
    """An event that answers one piece of work, and is dropped when the machine no longer waits for that one."""

    work: int


@dataclass(frozen=True, slots=True)
class Proceeding(Event):
    """A machine's own word to itself: it entered a state in which there is nothing to wait for."""


@dataclass(frozen=True, slots=True)
class StatusSending(JobEvent):
    """The status `word` of this job goes out next."""

    word: str


@dataclass(frozen=True, slots=True)
class StatusDelivered(JobEvent):
    """EVerest has provably heard the status `word` of this job."""

    word: str


@dataclass(frozen=True, slots=True)
class EverestRestarted(Event):
    """Another EVerest listens than the one that heard us last."""


@dataclass(frozen=True, slots=True)
class WordsLost(Event):
    """The EVerest that we know is back after a break of our connection; what it said meanwhile never came."""


@dataclass(frozen=True, slots=True)
class ResumedTooOften(Event):
    """A start of ours found the same step unfinished once too often: the step itself may be what ends us."""

    reason: str


@dataclass(frozen=True, slots=True)
class Settled(JobEvent):
    """The pause between a reply and the first status of its request is over."""


@dataclass(frozen=True, slots=True)
class RetryTimeReached(JobEvent):
    """The pause before the next attempt is over."""
