"""Replies, read as strictly as EVerest reads them.

EVerest goes on waiting after a malformed reply, for minutes. So nothing here is lenient: words stand in quotes,
booleans are `true` and `false`, and what is absent is left out rather than null.

    >>> parse_reply("update_firmware", b'"Accepted"')
    <UpdateFirmwareResponse.ACCEPTED: 'Accepted'>
"""

from typing import Any, Final, TypeAlias

from pydantic import ValidationError

from everest_system.everest_side.strict_json import read_json
from everest_system.fsm.messages import BootReason, UpdateFirmwareResponse, UploadLogsResponse

Reply: TypeAlias = UpdateFirmwareResponse | UploadLogsResponse | BootReason | bool | dict[str, Any]
"""A dictionary is the reply to `configure_network`, which no specification describes yet."""

REQUESTS: Final = frozenset(
    {"update_firmware", "upload_logs", "is_reset_allowed", "set_system_time", "get_boot_reason", "configure_network"}
)
"""The commands that are answered."""


def parse_reply(command: str, payload: bytes) -> Reply:
    """Read the reply to one of `REQUESTS`.

    Raises:
        ValueError: it is none; `str()` says in one line why not.
    """
    value = read_json(payload)
    match command:
        case "update_firmware":
            return UpdateFirmwareResponse(_word(value))
        case "get_boot_reason":
            return BootReason(_word(value))
        case "upload_logs":
            return _upload_logs_response(value)
        case "configure_network":
            if isinstance(value, dict) and isinstance(value.get("status"), str):
                return value
            raise ValueError("an object with a status should be there")
        case _:
            if isinstance(value, bool):
                return value
            raise ValueError("true or false should be there")


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a word in quotes should be there")  # noqa: TRY004 - one kind of error for all malformed replies
    return value


def _upload_logs_response(value: Any) -> UploadLogsResponse:
    if isinstance(value, dict) and value.get("file_name", "") is None:
        raise ValueError("file_name is null")
    try:
        return UploadLogsResponse.model_validate(value)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, fault['loc'])) or 'reply'}: {fault['msg']}") from None
