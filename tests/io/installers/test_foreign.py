"""What an installer of another package does wrong is a failed installation in one line, and never the service's end."""

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from everest_system.fsm.errors import CanceledError
from everest_system.io.installers.foreign import LONGEST_TARGET, ForeignInstaller
from everest_system.io.installers.port import Activation, BadSignatureError, Facts, InstallError, UnfitError

FACTS = Facts(Path("/fw"), "https://example.org/fw", 1, "system_api", "")
NEVER = threading.Event()


class Strange:
    """Answers each call with `answer`, which it raises if that is something to raise."""

    verifies_signatures = True

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def _do(self, *_: Any, **__: Any) -> Any:
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer

    check = install = resume = activate = confirm = mark_good = roll_back = _do


def calls(answer: Any, canceled: threading.Event = NEVER) -> dict[str, Any]:
    """Each call of the port, ready to be made."""
    subject = ForeignInstaller(Strange(answer), "strange")
    watched = {"canceled": canceled, "on_progress": print}
    return {
        "check": lambda: subject.check(FACTS, canceled=canceled),
        "install": lambda: subject.install(FACTS, "b", **watched),
        "resume": lambda: subject.resume(FACTS, "b", **watched),
        "activate": lambda: subject.activate(FACTS, "b"),
        "confirm": lambda: subject.confirm("b"),
        "mark_good": lambda: subject.mark_good("b"),
        "roll_back": lambda: subject.roll_back("b"),
    }


CALLS = list(calls(None))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", [KeyError("x"), SystemExit(3), KeyboardInterrupt(), RecursionError(), MemoryError()])
def test_what_the_port_does_not_know(call: str, fault: BaseException) -> None:
    """Whatever it raises, an exit among it, names the call, and its traceback is in the log."""
    with (
        capture_logs() as lines,
        pytest.raises(InstallError, match=rf"^strange\.{call} failed: {type(fault).__name__}$"),
    ):
        calls(fault)[call]()
    assert [(line["call"], line["exc_info"]) for line in lines] == [(call, True)]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("error", [InstallError("no"), UnfitError("no"), BadSignatureError("no")])
def test_what_the_port_knows(call: str, error: Exception) -> None:
    """The port's own errors go through as they are."""
    with capture_logs() as lines, pytest.raises(type(error), match=r"^no$"):
        calls(error)[call]()
    assert lines == []


@pytest.mark.parametrize("call", CALLS)
def test_a_cancel_that_nobody_asked_for(call: str) -> None:
    """It would leave the update without an end."""
    with pytest.raises(InstallError, match="says that it was canceled, and it was not"):
        calls(CanceledError())[call]()


@pytest.mark.parametrize("call", ["check", "install", "resume"])
def test_a_cancel(call: str) -> None:
    """One that was asked for is one."""
    canceled = threading.Event()
    canceled.set()
    with pytest.raises(CanceledError):
        calls(CanceledError(), canceled)[call]()


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("check", None), ("check", 5), ("check", "x" * (LONGEST_TARGET + 1)),
        ("confirm", None), ("confirm", "yes"), ("confirm", 1),
        ("activate", None), ("activate", "reset"), ("activate", []), ("roll_back", None), ("roll_back", True),
    ],
)  # fmt: skip
def test_wrong_answers(call: str, answer: Any) -> None:
    """An answer of another type or word than the port's is told with what was expected."""
    with pytest.raises(
        InstallError, match=rf"^strange\.{call} has to answer with .*, not with a {type(answer).__name__}$"
    ):
        calls(answer)[call]()


def test_good_answers() -> None:
    """Right answers go through; words count as the activations that they name."""
    assert calls("b")["check"]() == "b"
    assert calls(False)["confirm"]() is False
    assert calls("restart")["activate"]() is Activation.RESTART
    assert calls(Activation.NONE)["roll_back"]() is Activation.NONE
    assert ForeignInstaller(Strange(None), "strange").verifies_signatures is True
    for call in ("install", "resume", "mark_good"):
        assert calls("whatever")[call]() is None


@pytest.mark.parametrize("call", ["install", "resume"])
def test_progress(call: str) -> None:
    """What is no percentage is passed over."""

    class Talker(Strange):
        def install(self, *_: Any, on_progress: Any, **__: Any) -> None:
            for percent in (0, 12.7, "13", None, float("nan"), -1, 101, sys.maxsize, 100):
                on_progress(percent)

        resume = install

    told: list[int] = []
    getattr(ForeignInstaller(Talker(None), "talker"), call)(FACTS, "b", canceled=NEVER, on_progress=told.append)
    assert told == [0, 12, 100]
