"""What a reset comes to on this station, by the type that is asked for."""

from everest_system.configuration.settings import Platform
from everest_system.fsm.messages import ResetType


class Resets:
    """The configuration's word on each type of reset.

    To the platform's machine `Soft` is a restart of EVerest, and everything else a reboot of the machine.
    """

    def __init__(self, platform: Platform) -> None:
        self._can_restart = platform.kind != "command" or bool(platform.command.restart)
        reset = platform.reset
        self._chosen = {
            ResetType.HARD: ("hard", reset.hard),
            ResetType.SOFT: ("soft", reset.soft),
            ResetType.NOT_SPECIFIED: ("not_specified", reset.not_specified),
        }

    def refusal(self, kind: ResetType) -> str:
        """Why such a reset is never done, whatever else is going on; "" if it is."""
        key, chosen = self._chosen[kind]
        if chosen == "refuse":
            return f"platform.reset.{key} refuses it"
        if chosen == "restart" and not self._can_restart:
            return "platform.command.restart names no program"
        return ""

    def meant(self, kind: ResetType) -> ResetType:
        """The type that does what is configured for `kind`, which is not refused."""
        return ResetType.SOFT if self._chosen[kind][1] == "restart" else ResetType.HARD
