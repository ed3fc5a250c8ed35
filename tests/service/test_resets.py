"""What each type of reset comes to, by the configuration."""

from typing import Any

import pytest
from structlog.testing import capture_logs
from support.virtual import SIGNED, virtual

from everest_system.configuration.settings import Platform
from everest_system.fsm.messages import ResetType
from everest_system.resets import Resets

HARD, SOFT, NOT_SPECIFIED = ResetType.HARD, ResetType.SOFT, ResetType.NOT_SPECIFIED


def resets(**platform: Any) -> Resets:
    return Resets(Platform.model_validate({"kind": "systemd", **platform}))


def test_defaults() -> None:
    """A soft reset restarts EVerest, all others reboot the machine."""
    subject = resets()
    assert [subject.meant(kind) for kind in ResetType] == [SOFT, HARD, HARD]
    assert [subject.refusal(kind) for kind in ResetType] == ["", "", ""]


@pytest.mark.parametrize("key", ["hard", "soft", "not_specified"])
@pytest.mark.parametrize(("choice", "meant"), [("reboot", HARD), ("restart", SOFT)])
def test_each_is_configured(key: str, choice: str, meant: ResetType) -> None:
    """Each type does what its own key says, and the others what they do anyway."""
    kind = {"hard": HARD, "soft": SOFT, "not_specified": NOT_SPECIFIED}[key]
    subject, usual = resets(reset={key: choice}), resets()
    for each in ResetType:
        assert subject.meant(each) is (meant if each is kind else usual.meant(each))


@pytest.mark.parametrize("key", ["hard", "soft", "not_specified"])
def test_refused(key: str) -> None:
    """A refused type is told with its key, the others are not refused."""
    subject = resets(reset={key: "refuse"})
    refusals = [subject.refusal(kind) for kind in ResetType if subject.refusal(kind)]
    assert refusals == [f"platform.reset.{key} refuses it"]


def test_what_cannot_be_done_is_refused() -> None:
    """Without a program that restarts EVerest nothing that would restart it is promised."""
    subject = resets(kind="command", command={"reboot": ["true"]})
    assert [bool(subject.refusal(kind)) for kind in (SOFT, HARD, NOT_SPECIFIED)] == [True, False, False]
    assert "platform.command.restart" in subject.refusal(SOFT)
    assert not resets(kind="command", command={"reboot": ["true"], "restart": ["true"]}).refusal(SOFT)


def test_the_reason_is_in_the_log() -> None:
    """Whoever wonders why a reset was not allowed, waits or was not done finds it there."""
    with virtual({"install_s": 600}, platform={"kind": "systemd", "reset": {"soft": "refuse"}}) as simulation:
        everest = simulation.everest()
        with capture_logs() as lines:
            for kind in ("Hard", "Soft"):
                everest.ask("is_reset_allowed", kind)
            everest.tell("reset", b'{"type":"Soft","scheduled":false}')
            simulation.run_for(1)
        assert [question.replies for question in everest.questions[-2:]] == [[True], [False]]
        told = [(line["log_level"], line["event"]) for line in lines if "reset" in line["event"]]
        assert told == [
            ("info", "a Soft reset is not allowed: platform.reset.soft refuses it"),
            ("warning", "a Soft reset is not done: platform.reset.soft refuses it"),
        ]
        everest.ask("update_firmware", SIGNED)
        simulation.run_for(60)
        assert simulation.state("system_api", "firmware") == "INSTALLING"
        with capture_logs() as lines:
            everest.ask("is_reset_allowed", "Hard")
            everest.tell("reset", b'{"type":"Hard","scheduled":false}')
            simulation.run_for(1)
        assert everest.questions[-1].replies == [False]
        told = [(line["log_level"], line["event"]) for line in lines if " reset " in line["event"]]
        assert told == [
            ("info", "a Hard reset is not allowed: an update is being installed, or its boot confirmed"),
            ("info", "a Hard reset waits: an update is being installed, or its boot confirmed"),
        ]
