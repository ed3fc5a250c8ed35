"""`everest-system request`: from the words on a command line to a request, and from its statuses to its end.

`build()` makes the request, `perform()` sends it, `watch()` follows the statuses. Nothing is checked here that the
service checks: what it makes of nonsense is what a developer may want to see.

Example:
    request = build("update-firmware", Options(location="http://…/fw.bin", install_at="+30s"), datetime.now(UTC))
    since = len(everest.statuses)
    reply = perform(everest, request)
    last = watch(everest, request, lambda status: print(status.word), since=since)
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

from everest_system.everest_side.errors import NoStatusError
from everest_system.everest_side.replies import Reply
from everest_system.everest_side.side import EverestSide
from everest_system.everest_side.status import Kind, Status
from everest_system.fsm.errors import RequestError
from everest_system.fsm.messages import NO_REQUEST_ID, ResetType
from everest_system.fsm.timestamps import format_rfc3339, parse_rfc3339

ONE_WAY: Final = frozenset({"allow-installation", "reset"})
"""The commands that nobody replies to."""

SUCCESSES: Final = frozenset({"Installed", "Uploaded"})
"""The end statuses of jobs that were done."""

FAILED_ATTEMPTS: Final = frozenset({"DownloadFailed", "UploadFailure"})
"""Statuses that may end a job, or only an attempt: another may follow."""

_ENDS: Final = frozenset(
    {
        *SUCCESSES,
        "InvalidSignature",
        "InstallVerificationFailed",
        "InstallationFailed",
        "AcceptedCanceled",
        "BadMessage",
        "PermissionDenied",
        "NotSupportedOperation",
    }
)
_DEFAULT_INTERVAL_S: Final = 60  # the service's own, where the request names none
_LARGEST_FILE: Final = 64 * 1024
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DISTANCE: Final = re.compile(r"([+-])(\d{1,9})([smhd])", re.ASCII)


@dataclass(frozen=True)
class Options:
    """What the command line said; each command looks only at its own. Times are as in `moment()`, "" means none.

    Attributes:
        location: where the firmware is, or where the logs go.
        request_id: None: one made from the clock. -1 with upload-logs: none is sent, as OCPP 1.6 does.
        retries: attempts in all.
        retry_interval_s: seconds between two attempts.
        retrieve_at: the download starts no earlier.
        install_at: the installation starts no earlier.
        certificate: file with the signing certificate, PEM.
        signature: file with the signature, base64 or binary.
        oldest: where the wanted logs begin.
        latest: where they end.
        type: the type of log, or of reset.
        scheduled: the reset waits until the station is idle.
        time: what to set the clock to; "" means now.
        interface: the network interface to configure, in OCPP's words; "" means Wired0.
    """

    location: str = ""
    request_id: int | None = None
    retries: int | None = None
    retry_interval_s: int | None = None
    retrieve_at: str = ""
    install_at: str = ""
    certificate: Path | None = None
    signature: Path | None = None
    oldest: str = ""
    latest: str = ""
    type: str = ""
    scheduled: bool = False
    time: str = ""
    interface: str = ""


@dataclass(frozen=True)
class Request:
    """A request, ready to be sent.

    Attributes:
        command: its name on the wire.
        payload: what JSON carries; None where the command says nothing.
        kind: whose statuses follow; None: none do.
        request_id: the one that those statuses carry.
        attempts: in all, if the request says so.
        retry_interval_s: between two attempts.
    """

    command: str
    payload: Any = None
    kind: Kind | None = None
    request_id: int = NO_REQUEST_ID
    attempts: int | None = None
    retry_interval_s: int = _DEFAULT_INTERVAL_S


def build(command: str, options: Options, now: datetime) -> Request:
    """Make a request of what the command line said.

    Args:
        command: one of `COMMANDS`.
        options: see there.
        now: what times are relative to.

    Raises:
        RequestError: an option is missing or cannot be read, in one line.
    """
    if command not in _BUILDERS:
        raise RequestError(f"{command} is none of {', '.join(COMMANDS)}")
    return _BUILDERS[command](options, now)


def perform(everest: EverestSide, request: Request, timeout_s: float = 10.0) -> Reply | None:
    """Send a request and return its reply; None where there is none.

    Raises:
        EverestSideError: as with `EverestSide.call()`.
    """
    if request.command == "allow_firmware_installation":
        everest.allow_installation()
        return None
    if request.command == "reset":
        everest.reset(request.payload["type"], scheduled=request.payload["scheduled"])
        return None
    return everest.call(request.command, request.payload, timeout_s)


def watch(
    everest: EverestSide, request: Request, tell: Callable[[Status], object], *, since: int = 0, grace_s: float = 10.0
) -> Status:
    """Follow a request's statuses until its end, and return the last one.

    After a failed attempt that need not be the last, the next status is awaited for twice the retry interval and
    `grace_s` seconds; when none comes, that failure was the end. Nothing else is waited for in vain: an installation
    may be hours away.

    Args:
        everest: the side that sent the request.
        request: one that has statuses.
        tell: called with each status.
        since: `len(everest.statuses)` before the request was sent.
        grace_s: see above.

    Raises:
        EverestSideError: the connection to the broker ended before the job did.
    """

    def ours(status: Status) -> bool:
        return status.kind == request.kind and status.request_id == request.request_id

    failures = 0
    last: Status | None = None
    while True:
        patience_s = 2 * request.retry_interval_s + grace_s if last and last.word in FAILED_ATTEMPTS else None
        try:
            everest.wait_for(ours, timeout_s=patience_s, since=since)
        except NoStatusError:
            assert last is not None, "only a failure is waited on with a deadline"
            return last
        for status in everest.statuses[since:]:
            since += 1
            if ours(status):
                last = status
                tell(status)
                failures += status.word in FAILED_ATTEMPTS
                if is_end(status.word, failures=failures, attempts=request.attempts):
                    return status


def is_end(word: str, *, failures: int = 1, attempts: int | None = None) -> bool:
    """Tell whether no further status of the same request can come.

    Args:
        word: the status.
        failures: failed attempts so far, this one included.
        attempts: how many there are in all, if that is known.
    """
    if word in FAILED_ATTEMPTS:
        return attempts is not None and failures >= attempts
    return word in _ENDS


def moment(text: str, now: datetime) -> str:
    """Read a time: `now`, a distance from it such as `+30s`, `+5m`, `-2h`, `+1d`, or RFC 3339; return RFC 3339.

    Raises:
        RequestError: it is none of these.
    """
    if text == "now":
        return format_rfc3339(now)
    try:
        if match := _DISTANCE.fullmatch(text):
            sign, number, unit = match.groups()
            return format_rfc3339(now + int(sign + "1") * timedelta(**{_UNITS[unit]: int(number)}))
        return format_rfc3339(parse_rfc3339(text))
    except (ValueError, OverflowError):
        raise RequestError(f"{text!r} is no time: now, +30s, +5m, -2h, +1d or 2026-11-22T08:30:00Z") from None


def _update_firmware(options: Options, now: datetime) -> Request:
    request_id = _request_id(options, now)
    return _job(
        "update_firmware",
        "firmware",
        options,
        request_id,
        {
            "request_id": request_id,
            "retrieve_timestamp": _moment(options.retrieve_at, now),
            "install_timestamp": _moment(options.install_at, now),
            "signing_certificate": options.certificate and _text(options.certificate),
            "signature": options.signature and _base64(options.signature),
        },
    )


def _upload_logs(options: Options, now: datetime) -> Request:
    request_id = _request_id(options, now)
    return _job(
        "upload_logs",
        "log",
        options,
        request_id,
        {
            "request_id": None if request_id == NO_REQUEST_ID else request_id,
            "oldest_timestamp": _moment(options.oldest, now),
            "latest_timestamp": _moment(options.latest, now),
            "type": options.type or None,
        },
    )


def _job(command: str, kind: Kind, options: Options, request_id: int, more: dict[str, Any]) -> Request:
    if not options.location:
        raise RequestError("a location is needed")
    payload = {
        "location": options.location,
        "retries": options.retries,
        "retry_interval_s": options.retry_interval_s,
        **more,
    }
    interval_s = _DEFAULT_INTERVAL_S if options.retry_interval_s is None else max(0, options.retry_interval_s)
    present = {key: value for key, value in payload.items() if value is not None}
    return Request(command, present, kind, request_id, options.retries, interval_s)


def _reset(options: Options, _now: datetime) -> Request:
    return Request("reset", {"type": _reset_type(options), "scheduled": options.scheduled})


def _configure_network(options: Options, now: datetime) -> Request:
    request_id = _request_id(options, now)
    return Request("configure_network", {"request_id": request_id, "interface": options.interface or "Wired0"})


def _request_id(options: Options, now: datetime) -> int:
    # EVerest keeps request ids in 31 bits and a sign: the milliseconds of the clock come again only after weeks.
    return int(now.timestamp() * 1000) % 2**31 if options.request_id is None else options.request_id


def _reset_type(options: Options) -> ResetType:
    for known in ResetType:
        if known.lower() == (options.type or ResetType.NOT_SPECIFIED).lower():
            return known
    raise RequestError(f"{options.type!r} is no type of reset: {', '.join(ResetType)}")


def _moment(text: str, now: datetime) -> str | None:
    return moment(text, now) if text else None


def _text(file: Path) -> str:
    try:
        return _content(file).decode()
    except UnicodeDecodeError:
        raise RequestError(f"{file} is no text") from None


def _base64(file: Path) -> str:
    content = _content(file)
    try:
        base64.b64decode(b"".join(content.split()), validate=True)
        return content.decode()
    except (binascii.Error, UnicodeDecodeError):
        return base64.b64encode(content).decode()  # as `openssl dgst -sign` leaves it


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise RequestError(f"{file}: {error.strerror}") from error
    if len(content) > _LARGEST_FILE:
        raise RequestError(f"{file} has more than {_LARGEST_FILE} bytes")
    return content


_Builder: TypeAlias = Callable[[Options, datetime], Request]

_BUILDERS: Final[dict[str, _Builder]] = {
    "update-firmware": _update_firmware,
    "allow-installation": lambda _options, _now: Request("allow_firmware_installation"),
    "upload-logs": _upload_logs,
    "is-reset-allowed": lambda options, _now: Request("is_reset_allowed", _reset_type(options)),
    "reset": _reset,
    "set-system-time": lambda options, now: Request("set_system_time", moment(options.time or "now", now)),
    "get-boot-reason": lambda _options, _now: Request("get_boot_reason"),
    "configure-network": _configure_network,
}

COMMANDS: Final = tuple(_BUILDERS)
"""What `build()` knows."""
