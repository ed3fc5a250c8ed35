"""One request to a running service, from EVerest's side, with all that is said printed."""

import json
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from time import monotonic
from typing import Self

import typer

from everest_system import log_lines as _log_lines  # noqa: F401  # before anything that imports structlog
from everest_system.commands.configured import settings_of
from everest_system.commands.options import module_of
from everest_system.commands.terminal import painted, printable
from everest_system.everest_side import EverestSide, Reply, Status
from everest_system.everest_side.request import FAILED_ATTEMPTS, SUCCESSES, Request, is_end, perform, watch
from everest_system.fsm.messages import BootReason, UpdateFirmwareResponse, UploadLogsResponse
from everest_system.wiring import mqtt_settings

_ACCEPTED = {"Accepted", "AcceptedCanceled"}
_PATIENCE_S = 12.0  # longer than presence_timeout_s is by default: until then the service may only be finding out
_PERMISSION = "the installation may wait for its permission: `everest-system request allow-installation` gives it"
_ATTEMPT = "another attempt may follow: `everest-system status` knows whether one does"
_SILENCES = {
    "": "no status yet: the service holds them back while no EVerest listens; --heartbeat plays one that does",
    "DownloadFailed": _ATTEMPT,
    "UploadFailure": _ATTEMPT,
    "Downloaded": _PERMISSION,
    "SignatureVerified": _PERMISSION,
    "InstallRebooting": "after the boot the result waits for the CSMS to accept EVerest, station.registration_timeout_s"
    " at most: `everest-system request set-system-time` says that it has",
}


@dataclass(frozen=True, slots=True)
class Conversation:
    """EVerest's side, not yet started, and how long to wait for a reply, in seconds."""

    everest: EverestSide
    timeout_s: float

    @classmethod
    def configured(cls, config: Path | None, module: str | None, *, heartbeat: bool, timeout_s: float) -> Self:
        """The side of the broker that the configuration names.

        Raises:
            ConfigurationError: it is wrong.
            typer.BadParameter: it is not clear which module is meant.
        """
        settings = settings_of(config)
        return cls(
            EverestSide(
                mqtt_settings(settings),
                module_of(settings, module),
                settings.mqtt.external_prefix,
                ocpp=None,  # every status is shown, and none permits an installation by itself
                heartbeat_s=1.0 if heartbeat else None,
                discovery=heartbeat,  # beside the real EVerest, that one answers for itself
                request_qos=1,  # a broker drops what QoS 2 has not handed over in full when we leave at once
            ),
            timeout_s,
        )

    def hold(self, request: Request, *, watching: bool, permit_on: str) -> bool:
        """Send the request and print what comes; whether it went well.

        Args:
            request: what to send.
            watching: follow the statuses to the end.
            permit_on: permit the installation at this status; "": never.

        Raises:
            EverestSideError: no broker, or no reply in time.
        """
        with self.everest as everest:
            reply = perform(everest, request, self.timeout_s)
            typer.echo(_said(reply))
            if not _went_well(reply):
                if isinstance(reply, UpdateFirmwareResponse | UploadLogsResponse):
                    typer.echo("refused: the service's log says why", err=True)
                return False
            if not watching:
                return True
            done = self._watch(request, permit_on)
        if not done:
            typer.echo("failed: `everest-system status` says why", err=True)
        return done

    def _watch(self, request: Request, permit_on: str) -> bool:
        began = monotonic()
        silence = _Silence()

        def tell(status: Status) -> None:
            note = "" if status.disable_connectors else "  (the connectors stay in service: no permission is needed)"
            typer.echo(f"{max(status.at - began, 0.0):8.1f} s  {_coloured(status.word)}{note}")
            if note:
                silence.ends()
            elif permit_on and status.word == permit_on:
                self.everest.allow_installation()
                silence.ends()
            else:
                silence.follows(status.word)

        silence.follows("")
        try:
            return watch(self.everest, request, tell).word in SUCCESSES
        finally:
            silence.ends()


class _Silence:
    """Says what is being waited for, when nothing has come for long after a status that something is needed after."""

    def __init__(self) -> None:
        self._timer: Timer | None = None

    def follows(self, word: str) -> None:
        """The last status was this one; "": there was none yet."""
        self.ends()
        if word in _SILENCES:
            self._timer = Timer(_PATIENCE_S, typer.echo, [_SILENCES[word]], {"err": True})
            self._timer.daemon = True
            self._timer.start()

    def ends(self) -> None:
        """Nothing is waited for any more."""
        if self._timer is not None:
            self._timer.cancel()


def _said(reply: Reply | None) -> str:
    match reply:
        case None:
            return "sent"
        case bool():
            return "true" if reply else "false"
        case UploadLogsResponse():
            name = f" {reply.file_name}" if reply.file_name else ""
            return printable(f"{reply.upload_logs_status}{name}")
        case UpdateFirmwareResponse() | BootReason():
            return str(reply)
        case dict():
            return printable(json.dumps(reply))
    raise TypeError(type(reply))


def _went_well(reply: Reply | None) -> bool:
    match reply:
        case UpdateFirmwareResponse():
            return reply in _ACCEPTED
        case UploadLogsResponse():
            return reply.upload_logs_status in _ACCEPTED
        case bool():
            return reply
        case dict():
            return reply.get("status") in _ACCEPTED
    return True


def _coloured(word: str) -> str:
    if word in SUCCESSES:
        return painted(word, "green")
    return painted(word, "red") if word in FAILED_ATTEMPTS or is_end(word) else word
