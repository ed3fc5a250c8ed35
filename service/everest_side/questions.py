"""Requests that wait for their replies."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from everest_system.everest_side.errors import EverestSideError, NoReplyError
from everest_system.everest_side.replies import Reply, parse_reply


@dataclass(eq=False)
class Question:
    """A request on its way, and its reply once that has come."""

    command: str
    payload: Any
    token: str
    reply: Reply | None = None


class Questions:
    """The open questions of one run of EVerest; any thread may ask, and wait for an answer.

    Args:
        changed: guards them and is notified of each reply, and when `ended` has a new answer.
        ended: why no reply can come any more; "" as long as one can.
    """

    def __init__(self, changed: threading.Condition, ended: Callable[[], str]) -> None:
        self._changed = changed
        self._ended = ended
        self._open: dict[str, Question] = {}

    def open(self, command: str, payload: Any) -> Question:
        """Make a question, with a token of its own as the last level of its reply topic."""
        question = Question(command, payload, str(uuid.uuid4()))
        with self._changed:
            self._open[question.token] = question
        return question

    def close(self, question: Question) -> None:
        """Forget a question; a reply that comes later is ignored."""
        with self._changed:
            self._open.pop(question.token, None)

    def take(self, token: str, payload: bytes) -> Question | None:
        """Take what came as a reply, and return the question that it answers.

        None: nobody waits for it. It is a repetition, too late, or for another EVerest.

        Raises:
            ValueError: it is malformed; the question stays open.
        """
        with self._changed:
            question = self._open.get(token)
            if question is None or question.reply is not None:
                return None
            question.reply = parse_reply(question.command, payload)
            self._changed.notify_all()
            return question

    def answer(self, question: Question, timeout_s: float) -> Reply:
        """Wait for the reply.

        Raises:
            NoReplyError: no well-formed one came in time.
            EverestSideError: the run has ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: question.reply is not None or self._ended(), timeout_s)
            if question.reply is not None:
                return question.reply
            if reason := self._ended():
                raise EverestSideError(reason)
        raise NoReplyError(f"no reply to {question.command} within {timeout_s:g} s")
