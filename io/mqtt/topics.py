"""The topics of one EVerest module: where its commands come from and where statuses and replies go.

Every topic is PREFIX + `everest_api/1/system/MODULE_ID/` + `e2m/…` (from EVerest) or `m2e/…` (to EVerest). The prefix
is EVerest's own `mqtt_external_prefix`, put in front as it stands, with no slash added. A `replyTo` carries no prefix.

Nothing from outside chooses a topic freely: a reply goes below the module's own `m2e/reply/` or nowhere.
"""

import re
from dataclasses import dataclass
from typing import Final

_MODULE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_WILDCARDS: Final = frozenset("+#")
_LONGEST_PREFIX: Final = 256
_LONGEST_REPLY_TO: Final = 512


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one module.

    Attributes:
        prefix: stands before every topic; may be empty; at most 256 characters, printable, without wildcards.
        module_id: the module's id in EVerest's configuration: 1 to 64 letters, digits, `_` and `-`.

    Raises:
        ValueError: the prefix or the module id is none.
    """

    prefix: str
    module_id: str

    def __post_init__(self) -> None:
        if not _is_plain(self.prefix, _LONGEST_PREFIX):
            raise ValueError("an MQTT prefix has at most 256 printable characters, and neither + nor #")
        if _MODULE_ID.fullmatch(self.module_id) is None:
            raise ValueError("a module id has 1 to 64 letters, digits, _ and -")

    @property
    def commands_filter(self) -> str:
        """The filter that receives every command of the module."""
        return f"{self.prefix}{self._base}/e2m/+"

    @property
    def firmware_update_status(self) -> str:
        """Where the statuses of firmware updates go."""
        return f"{self.prefix}{self._base}/m2e/firmware_update_status"

    @property
    def log_status(self) -> str:
        """Where the statuses of log uploads go."""
        return f"{self.prefix}{self._base}/m2e/log_status"

    @property
    def communication_check(self) -> str:
        """Where the sign of life goes."""
        return f"{self.prefix}{self._base}/m2e/communication_check"

    def command_of(self, topic: str) -> str | None:
        """The last level of a topic that `commands_filter` matches, be the command known or not; None for any other."""
        start = f"{self.prefix}{self._base}/e2m/"
        name = topic.removeprefix(start)
        return name if topic.startswith(start) and name and "/" not in name else None

    def reply_topic(self, reply_to: str) -> str | None:
        """The topic to send a reply to.

        Args:
            reply_to: `headers.replyTo` as it came.

        Returns:
            The full topic with its prefix; None unless `reply_to` is a plain topic of at most 512 characters below this
            module's own `m2e/reply/`.
        """
        below = f"{self._base}/m2e/reply/"
        if not reply_to.startswith(below) or reply_to == below or not _is_plain(reply_to, _LONGEST_REPLY_TO):
            return None
        return self.prefix + reply_to

    @property
    def _base(self) -> str:
        return f"everest_api/1/system/{self.module_id}"


def _is_plain(text: str, longest: int) -> bool:
    # `isprintable` also keeps out NUL, control characters and lone surrogates, which MQTT forbids or cannot carry.
    return len(text) <= longest and text.isprintable() and _WILDCARDS.isdisjoint(text)
