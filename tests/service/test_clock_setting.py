"""Requests to set the clock, as they come: each gets one answer, and however many come, none piles up."""

import queue
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from everest_system.clock_setting import LANE, ClockSetting
from everest_system.fsm.errors import CanceledError, WorldError
from everest_system.fsm.messages import SystemTime
from everest_system.fsm.orders import SetSystemTime
from everest_system.io.workers import Workers
from everest_system.ports import SystemTimeSet

WAIT_S = 10


class SlowTime:
    """Sets no clock, and takes its time for that.

    Attributes:
        begun: one for each that it has begun with.
        go_on: what the next one comes to: an answer, or an error to raise.
    """

    def __init__(self) -> None:
        self.begun: queue.SimpleQueue[tuple[datetime, float]] = queue.SimpleQueue()
        self.go_on: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def set(self, wanted: datetime, came_at: float, *, canceled: threading.Event) -> bool:
        """Wait for the test's word."""
        self.begun.put((wanted, came_at))
        word = self.go_on.get(timeout=WAIT_S)
        if isinstance(word, Exception):
            raise word
        assert isinstance(word, bool)
        return word


class Subject:
    """The requests, and what came of them."""

    def __init__(self) -> None:
        self.time = SlowTime()
        self.answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.crashes: list[BaseException] = []
        self.workers = Workers(on_crash=lambda _, error: self.crashes.append(error))
        self._setting = ClockSetting(self.time, self.workers, self.answers.put)  # type: ignore[arg-type]

    def ask(self, minute: int) -> None:
        """Ask for a time."""
        time = SystemTime(f"2030-01-01T00:{minute:02}:00Z")
        self._setting.take("system_api", SetSystemTime(time, f"reply/{minute}"))

    def begins(self) -> int:
        """The minute that is being set now."""
        return self.time.begun.get(timeout=WAIT_S)[0].minute

    def answer(self) -> tuple[str | None, bool]:
        """The next answer given."""
        answer = self.answers.get(timeout=WAIT_S)
        assert isinstance(answer, SystemTimeSet)
        return answer.reply_to, answer.done


@pytest.fixture
def subject() -> Iterator[Subject]:
    """It ends without a crash of its threads."""
    subject = Subject()
    yield subject
    assert subject.workers.close(WAIT_S)
    assert subject.crashes == []


def test_one_after_the_other(subject: Subject) -> None:
    """Each that comes alone is set, in the moment that it came at."""
    for minute, done in enumerate([True, False]):
        subject.ask(minute)
        assert subject.begins() == minute
        subject.time.go_on.put(done)
        assert subject.answer() == (f"reply/{minute}", done)


def test_the_latest_counts(subject: Subject) -> None:
    """Of thousands that wait the latest is set; the others are answered at once, with false."""
    subject.ask(0)
    assert subject.begins() == 0
    for _ in range(5000):
        subject.ask(1)
    subject.ask(2)
    assert {subject.answer() for _ in range(5000)} == {("reply/1", False)}
    subject.time.go_on.put(True)
    assert (subject.answer(), subject.begins()) == (("reply/0", True), 2)
    subject.time.go_on.put(True)
    assert subject.answer() == ("reply/2", True)
    assert subject.answers.empty()


@pytest.mark.parametrize("fault", [WorldError("broken"), ZeroDivisionError()])
def test_a_fault(subject: Subject, fault: Exception) -> None:
    """Whatever goes wrong the answer is false: without one EVerest would wait for minutes."""
    subject.ask(1)
    subject.time.go_on.put(fault)
    assert subject.answer() == ("reply/1", False)


def test_canceled(subject: Subject) -> None:
    """What is canceled at our end says nothing more."""
    subject.ask(1)
    assert subject.begins() == 1
    subject.workers.cancel(LANE)
    subject.time.go_on.put(CanceledError())
    assert subject.workers.close(WAIT_S)
    assert subject.answers.empty()
