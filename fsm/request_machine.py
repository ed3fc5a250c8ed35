"""What the firmware update and the log upload have in common: a request, its attempts, and the words said of it."""

from abc import abstractmethod
from typing import Protocol, TypeVar

from everest_system.fsm.events import RetryTimeReached, Settled
from everest_system.fsm.machine import Snapshot, Status, TableMachine
from everest_system.fsm.retries import retry_delay


class RequestRules(Protocol):
    """The configured part of a request's behaviour; durations in seconds."""

    @property
    def settle_s(self) -> float:
        """Between the reply and the first status."""

    @property
    def default_retries(self) -> int:
        """Attempts in all, where the request names none."""

    @property
    def default_retry_interval_s(self) -> float:
        """Between attempts, where the request names none."""


class Request(Protocol):
    """What both requests say of attempts."""

    @property
    def retries(self) -> int | None:
        """Attempts in all."""

    @property
    def retry_interval_s(self) -> float | None:
        """Between two of them."""


class RequestSnapshot(Snapshot):
    """What a request remembers, whatever it asks for.

    Attributes:
        run: the count of the EVerest that sent it.
        last_word: the status published last for it; "" before the first.
        word_before: the last one that was another than that; "" if there was none.
        attempts: those used up.
        reason: why it ended as it did, or why the last attempt failed.
    """

    run: int = 0
    last_word: str = ""
    word_before: str = ""
    attempts: int = 0
    reason: str = ""


RequestSnapshotT = TypeVar("RequestSnapshotT", bound=RequestSnapshot)


class RequestMachine(TableMachine[RequestSnapshotT]):
    """The base of the two machines that carry out requests."""

    rules: RequestRules

    @property
    @abstractmethod
    def request(self) -> Request:
        """The request that is worked on; only states on the way have one."""

    @abstractmethod
    def end(self) -> None:
        """Leave nothing of the job but its snapshot."""

    def publish(self, word: str, *, is_end: bool, disable_connectors: bool | None = None) -> None:
        """Say `word` of the current request."""
        request_id = self.request_id()
        assert request_id is not None
        if word != self.draft.last_word:
            self.draft.word_before = self.draft.last_word
        self.draft.last_word = word
        self.say(
            Status(
                machine=self.name,
                job=self.draft.job,
                request_id=request_id,
                run=self.draft.run,
                word=word,
                is_end=is_end,
                predecessor=self.draft.word_before,
                disable_connectors=disable_connectors,
            )
        )

    def make_way(self) -> None:
        """End the canceled job, and let the same event begin the next one."""
        self.draft.reason = "canceled by a new request"
        self.stop_work()
        self.end()
        self.raise_event(self.event)

    def wait_until_settled(self) -> None:
        """A status right behind its reply can overtake the OCPP response."""
        self.set_timer(Settled, self.rules.settle_s)

    @property
    def retry_interval_s(self) -> float:
        """Seconds between two attempts."""
        interval_s = self.request.retry_interval_s
        return interval_s if interval_s is not None else self.rules.default_retry_interval_s

    def attempts_left(self) -> bool:
        """The attempt that failed was not the last (retries counts all of them)."""
        attempts = self.request.retries if self.request.retries is not None else self.rules.default_retries
        return self.draft.attempts + 1 < attempts

    def count_attempt(self) -> None:
        """Try again after the interval, or later if the server wishes so, within bounds."""
        self.draft.attempts += 1
        self.keep_reason()
        self.set_timer(RetryTimeReached, retry_delay(self.retry_interval_s, self.event.retry_after_s))

    def keep_reason(self) -> None:
        """Remember why, for whoever asks the station later."""
        self.draft.reason = self.event.reason
