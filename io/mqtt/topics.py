"""The topics of one EVerest module: where its commands come from and where statuses and replies go.

Every topic is PREFIX + `everest_api/1/system/MODULE_ID/` + `e2m/…` (from EVerest) or `m2e/…` (to EVerest). The prefix
is EVerest's own `mqtt_external_prefix`, put in front as it stands, with no slash added. A `replyTo` carries no prefix.

Nothing from outside chooses a topic freely: a reply goes below the module's own `m2e/reply/` or nowhere.

Beside them stand the topics that belong to no module, by which EVerest's API modules are found: PREFIX +
`everest_api/discover`, `…/query-modules/TYPE` and `…/ready_beacon`.
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
        if not is_module_id(self.module_id):
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


def is_module_id(text: str) -> bool:
    """Whether a module can have this id; a type of API is named by the same rule."""
    return _MODULE_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class DiscoveryTopics:
    """The topics by which whoever asks finds EVerest's API modules.

    Attributes:
        prefix: as of `Topics`.
        token: makes the reply topic one of its own: 1 to 64 letters, digits, `_` and `-`.

    Raises:
        ValueError: the prefix or the token is none.
    """

    prefix: str
    token: str

    def __post_init__(self) -> None:
        if not _is_plain(self.prefix, _LONGEST_PREFIX):
            raise ValueError("an MQTT prefix has at most 256 printable characters, and neither + nor #")
        if not is_module_id(self.token):
            raise ValueError("a token has 1 to 64 letters, digits, _ and -")

    @property
    def discover(self) -> str:
        """Asks every API module."""
        return f"{self.prefix}everest_api/discover"

    def query(self, api_type: str) -> str:
        """Asks the modules of one type of API."""
        return f"{self.prefix}everest_api/query-modules/{api_type}"

    @property
    def ready_beacon(self) -> str:
        """Where EVerest says, once a run, that all its API modules can be asked."""
        return f"{self.prefix}everest_api/ready_beacon"

    def boot_reason(self, module_id: str) -> str:
        """Where a module asks for the boot reason."""
        return f"{self.prefix}everest_api/1/system/{module_id}/e2m/get_boot_reason"

    @property
    def boot_reason_filter(self) -> str:
        """The filter that receives this question of all modules."""
        return self.boot_reason("+")

    def is_boot_reason(self, topic: str) -> bool:
        """Whether a topic is one that `boot_reason_filter` matches, whatever the module."""
        start, _, end = self.boot_reason_filter.partition("+")
        return topic.startswith(start) and is_module_id(topic.removeprefix(start).removesuffix(end))

    @property
    def reply_to(self) -> str:
        """What a question names as its `headers.replyTo`: without the prefix, which EVerest puts before it."""
        return f"everest_api/discover/reply/{self.token}"

    @property
    def replies(self) -> str:
        """Where the answers come, one from each module."""
        return self.prefix + self.reply_to


def _is_plain(text: str, longest: int) -> bool:
    # `isprintable` also keeps out NUL, control characters and lone surrogates, which MQTT forbids or cannot carry.
    return len(text) <= longest and text.isprintable() and _WILDCARDS.isdisjoint(text)
