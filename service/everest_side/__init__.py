"""EVerest's side of the wire, for the demonstration, `everest-system request` and the end-to-end tests."""

from everest_system.everest_side.errors import EverestSideError, NoReplyError, NoStatusError
from everest_system.everest_side.ocpp import OcppVersion
from everest_system.everest_side.replies import Reply
from everest_system.everest_side.side import EverestSide
from everest_system.everest_side.status import Kind, Status

__all__ = [
    "EverestSide",
    "EverestSideError",
    "Kind",
    "NoReplyError",
    "NoStatusError",
    "OcppVersion",
    "Reply",
    "Status",
]
