"""`everest-system request`: what EVerest would say, said by hand."""

from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from random import randrange
from typing import TYPE_CHECKING, Annotated

import typer

from everest_system.commands.options import Config, Module, examples
from everest_system.fsm.messages import ResetType

if TYPE_CHECKING:
    from everest_system.everest_side.request import Options

_TIMES = "now, +30s, +5m, -2h, +1d, or 2026-11-22T08:30:00Z"
_APP = typer.Typer(
    help=(
        "Say what EVerest would say to the running service.\n\n"
        "Beside the real EVerest or instead of it. "
        "Prints the reply; exit code 0 when the request was accepted, 1 when it was refused or nobody replied. Nothing "
        "is checked before it is sent.\n\n"
        "No heartbeats are sent unless asked for with --heartbeat: beside the real EVerest a second source of them "
        "looks to the service as if EVerest restarted all the time. Instead of it they are needed: the service holds "
        "statuses back where heartbeats were seen and then ended."
    ),
    epilog="`everest-system request COMMAND --help` says more of each command.",
    rich_markup_mode=None,
)

_Watch = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Follow the statuses to the end; exit code 0 when it was a success, 1 when not.",
        show_default=False,
    ),
]
_Heartbeat = Annotated[
    bool,
    typer.Option(
        "--heartbeat",
        help="Send heartbeats as EVerest does, for as long as this command runs. Not beside the real EVerest.",
        show_default=False,
    ),
]
_Timeout = Annotated[
    float, typer.Option("--timeout", min=0.1, max=86400, metavar="SECONDS", help="How long to wait for a reply.")
]
_RequestId = Annotated[
    int | None,
    typer.Option(
        "--request-id",
        metavar="ID",
        help="Its number. Without it: a fresh one. -1: as OCPP 1.6 does.",
        show_default=False,
    ),
]
_Retries = Annotated[
    int | None,
    typer.Option(
        "--retries", metavar="N", help="Attempts in all. Without it: the service's own default.", show_default=False
    ),
]
_Interval = Annotated[
    int | None,
    typer.Option(
        "--retry-interval",
        metavar="SECONDS",
        help="Between two attempts. Without it: the service's own default.",
        show_default=False,
    ),
]
_ResetType = Annotated[
    ResetType,
    typer.Option("--type", metavar="Soft|Hard|NotSpecified", case_sensitive=False, help="How thorough."),
]


class LogType(StrEnum):
    """The types of log that OCPP knows."""

    DIAGNOSTICS = "DiagnosticsLog"
    SECURITY = "SecurityLog"
    DATA_COLLECTOR = "DataCollectorLog"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_APP, name="request")


@_APP.command(
    "update-firmware",
    epilog=examples(
        "everest-system request update-firmware --location http://127.0.0.1/fw.img \\",
        "    --certificate signer.pem --signature fw.sig.b64 --watch --allow-installation --heartbeat",
        "everest-system request update-firmware --location https://files.example/fw.img --install-at +1h",
    ),
)
def update_firmware(
    location: Annotated[str, typer.Option("--location", metavar="URL", help="Where the firmware is.")],
    request_id: _RequestId = None,
    retries: _Retries = None,
    retry_interval: _Interval = None,
    retrieve_at: Annotated[
        str, typer.Option("--retrieve-at", metavar="TIME", help=f"Download no earlier: {_TIMES}.", show_default=False)
    ] = "",
    install_at: Annotated[
        str, typer.Option("--install-at", metavar="TIME", help="Install no earlier.", show_default=False)
    ] = "",
    certificate: Annotated[
        Path | None,
        typer.Option("--certificate", metavar="FILE", help="The signing certificate, PEM.", show_default=False),
    ] = None,
    signature: Annotated[
        Path | None,
        typer.Option("--signature", metavar="FILE", help="The signature, base64 or binary.", show_default=False),
    ] = None,
    watch: _Watch = False,
    allow_installation: Annotated[
        bool,
        typer.Option(
            "--allow-installation",
            help="Permit the installation when its time has come, as EVerest does; needs --watch.",
            show_default=False,
        ),
    ] = False,
    heartbeat: _Heartbeat = False,
    timeout: _Timeout = 10.0,
    module: Module = None,
    config: Config = None,
) -> None:
    """Ask for a firmware update."""
    if allow_installation and not watch:
        raise typer.BadParameter("needs --watch", param_hint="--allow-installation")
    from everest_system.everest_side.request import Options

    options = Options(
        location=location,
        request_id=request_id,
        retries=retries,
        retry_interval_s=retry_interval,
        retrieve_at=retrieve_at,
        install_at=install_at,
        certificate=certificate,
        signature=signature,
    )
    trigger = "SignatureVerified" if certificate or signature else "Downloaded"
    _send(
        "update-firmware", options, config, module, timeout, heartbeat=heartbeat,
        watching=watch, permit_on=trigger if allow_installation else "",
    )  # fmt: skip


@_APP.command(
    "upload-logs",
    epilog=examples(
        "everest-system request upload-logs --location http://127.0.0.1/logs/ --watch",
        "everest-system request upload-logs --location ftp://user@files.example/logs/ \\",
        "    --type SecurityLog --oldest -2d --latest now",
    ),
)
def upload_logs(
    location: Annotated[
        str, typer.Option("--location", metavar="URL", help="Where the logs go; a slash at the end: into that folder.")
    ],
    request_id: _RequestId = None,
    log_type: Annotated[
        LogType | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help=f"Which logs: {', '.join(LogType)}. Without it: none is sent, diagnostics are meant.",
            show_default=False,
        ),
    ] = None,
    oldest: Annotated[
        str, typer.Option("--oldest", metavar="TIME", help=f"Nothing older: {_TIMES}.", show_default=False)
    ] = "",
    latest: Annotated[str, typer.Option("--latest", metavar="TIME", help="Nothing newer.", show_default=False)] = "",
    retries: _Retries = None,
    retry_interval: _Interval = None,
    watch: _Watch = False,
    heartbeat: _Heartbeat = False,
    timeout: _Timeout = 10.0,
    module: Module = None,
    config: Config = None,
) -> None:
    """Ask for an upload of logs."""
    from everest_system.everest_side.request import Options

    options = Options(
        location=location,
        request_id=request_id,
        type=log_type or "",
        oldest=oldest,
        latest=latest,
        retries=retries,
        retry_interval_s=retry_interval,
    )
    _send("upload-logs", options, config, module, timeout, heartbeat=heartbeat, watching=watch)


@_APP.command("allow-installation", epilog=examples("everest-system request allow-installation"))
def allow_installation(config: Config = None, module: Module = None, heartbeat: _Heartbeat = False) -> None:
    """Permit an installation.

    The one that waits for it: what comes before SignatureVerified, or Downloaded where nothing is signed, is ignored.
    Nobody replies to this.
    """
    _send("allow-installation", None, config, module, 0, heartbeat=heartbeat)


@_APP.command("is-reset-allowed", epilog=examples("everest-system request is-reset-allowed --type Hard"))
def is_reset_allowed(
    reset_type: _ResetType = ResetType.NOT_SPECIFIED,
    heartbeat: _Heartbeat = False,
    timeout: _Timeout = 10.0,
    module: Module = None,
    config: Config = None,
) -> None:
    """Ask whether a reset is allowed now.

    Exit code 1 when it is not.
    """
    from everest_system.everest_side.request import Options

    _send("is-reset-allowed", Options(type=reset_type), config, module, timeout, heartbeat=heartbeat)


@_APP.command("reset", epilog=examples("everest-system request reset --type Soft", "everest-system request reset"))
def reset(
    reset_type: _ResetType = ResetType.NOT_SPECIFIED,
    scheduled: Annotated[
        bool, typer.Option("--scheduled", help="It was meant for when the station is idle.", show_default=False)
    ] = False,
    heartbeat: _Heartbeat = False,
    module: Module = None,
    config: Config = None,
) -> None:
    """Order a reset.

    Nobody replies to this.
    """
    from everest_system.everest_side.request import Options

    _send("reset", Options(type=reset_type, scheduled=scheduled), config, module, 0, heartbeat=heartbeat)


@_APP.command("set-system-time", epilog=examples("everest-system request set-system-time --time 2026-11-22T08:30:00Z"))
def set_system_time(
    time: Annotated[str, typer.Option("--time", metavar="TIME", help=f"The time to set: {_TIMES}.")] = "now",
    heartbeat: _Heartbeat = False,
    timeout: _Timeout = 10.0,
    module: Module = None,
    config: Config = None,
) -> None:
    """Set the clock.

    Exit code 1 when it was not set. It also says that EVerest's CSMS has accepted the station.
    """
    from everest_system.everest_side.request import Options

    _send("set-system-time", Options(time=time), config, module, timeout, heartbeat=heartbeat)


@_APP.command("get-boot-reason", epilog=examples("everest-system request get-boot-reason"))
def get_boot_reason(
    heartbeat: _Heartbeat = False, timeout: _Timeout = 10.0, module: Module = None, config: Config = None
) -> None:
    """Ask why the machine booted."""
    _send("get-boot-reason", None, config, module, timeout, heartbeat=heartbeat)


@_APP.command("configure-network", epilog=examples("everest-system request configure-network --interface Wired0"))
def configure_network(
    interface: Annotated[
        str, typer.Option("--interface", metavar="NAME", help="The interface, in OCPP's words: Wired0, Wireless0.")
    ] = "Wired0",
    heartbeat: _Heartbeat = False,
    timeout: _Timeout = 10.0,
    module: Module = None,
    config: Config = None,
) -> None:
    """Ask for another network, as newer EVerest does.

    The service answers NotSupported, and so the exit code is 1.
    """
    from everest_system.everest_side.request import Options

    _send("configure-network", Options(interface=interface), config, module, timeout, heartbeat=heartbeat)


def _send(
    command: str,
    options: "Options | None",
    config: Path | None,
    module: str | None,
    timeout_s: float,
    *,
    heartbeat: bool,
    watching: bool = False,
    permit_on: str = "",
) -> None:
    from everest_system.commands.conversation import Conversation
    from everest_system.everest_side.request import Options, build

    options = options or Options()
    if options.request_id is None:  # by the clock, two requests in a row could be taken for one
        options = replace(options, request_id=randrange(1, 2**31))
    request = build(command, options, datetime.now(UTC))
    conversation = Conversation.configured(config, module, heartbeat=heartbeat, timeout_s=timeout_s)
    if not conversation.hold(request, watching=watching, permit_on=permit_on):
        raise typer.Exit(1)
