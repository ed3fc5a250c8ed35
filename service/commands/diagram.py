"""`everest-system diagram`: the state diagrams, drawn from the transition tables."""

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everest_system.commands.configured import settings_of
from everest_system.commands.options import Config, Module, examples
from everest_system.fsm.errors import WorldError

if TYPE_CHECKING:
    from everest_system.commands.live_path import LivePath


class MachineName(StrEnum):
    """What can be drawn."""

    FIRMWARE = "firmware"
    LOGS = "logs"
    PRESENCE = "presence"
    PLATFORM = "platform"


class Format(StrEnum):
    """How it can be drawn; `text` is the path taken, for a terminal."""

    DOT = "dot"
    SVG = "svg"
    PNG = "png"
    MERMAID = "mermaid"
    TEXT = "text"


_SUFFIXES = {"": Format.DOT, "gv": Format.DOT, "mmd": Format.MERMAID, "txt": Format.TEXT}

_Name = Annotated[MachineName | None, typer.Argument(metavar="MACHINE", show_default=False)]
_Format = Annotated[
    Format | None,
    typer.Option(
        "--format",
        "-f",
        help="Without it: what the name of -o FILE ends in, else dot. text: the path taken, with --live.",
        metavar="|".join(Format),
        show_default=False,
    ),
]
_Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write it there. Without it: to standard output.", show_default=False
    ),
]
_Live = Annotated[
    bool,
    typer.Option(
        "--live",
        help="Mark the state that the running service is in, or would go on from, and the path it took.",
        show_default=False,
    ),
]
_Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Draw nothing; compare the committed drawings of all machines with their tables.",
        show_default=False,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "diagram",
        epilog=examples(
            "everest-system diagram firmware -o firmware.svg",
            "everest-system diagram firmware --live --format text",
            "everest-system diagram logs --format mermaid",
            "everest-system diagram --check",
        ),
    )(diagram)


def diagram(
    name: _Name = None,
    format_: _Format = None,
    output: _Output = None,
    live: _Live = False,
    check: _Check = False,
    module: Module = None,
    config: Config = None,
) -> None:
    """Draw a state machine from its table.

    Each state with the status that it publishes. The same table gives the same bytes each time. svg and png need:
    pip install 'everest-system[diagrams]'
    """
    if check:
        if live or output or format_:
            raise typer.BadParameter("draws nothing: without --live, --output and --format", param_hint="--check")
        _check()
        return
    if name is None:
        raise typer.BadParameter(f"which machine? {', '.join(MachineName)}", param_hint="MACHINE")
    format_ = format_ or _format_of(output)
    if format_ is Format.TEXT and not live:
        raise typer.BadParameter("text is the path taken: it needs --live", param_hint="--format")
    if format_ is Format.PNG and output is None and _is_terminal():
        raise typer.BadParameter("a png is nothing for a terminal: use -o FILE", param_hint="--format")
    path = None
    if live:
        from everest_system.commands.live_path import live_path

        path = live_path(settings_of(config), name, module)
    _write(_drawn(name, format_, path), output)


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _check() -> None:
    from everest_system.diagrams import check

    faults = check()
    if faults:
        for fault in faults:
            typer.echo(fault, err=True)
        raise typer.Exit(1)
    typer.echo("OK: the committed drawings show what the tables say")


def _format_of(output: Path | None) -> Format:
    suffix = output.suffix.removeprefix(".").lower() if output else ""
    if suffix in list(Format):
        return Format(suffix)
    if suffix not in _SUFFIXES:
        raise typer.BadParameter(f"{suffix} is no format; --format says which is meant", param_hint="--output")
    return _SUFFIXES[suffix]


def _drawn(name: str, format_: Format, path: "LivePath | None") -> bytes:
    from everest_system import diagrams

    if format_ is Format.TEXT:
        assert path is not None, "asked for above"
        return f"{diagrams.text_path(name, path.steps)}\n".encode()
    source: Callable[..., str] = diagrams.mermaid if format_ is Format.MERMAID else diagrams.dot
    text = source(name, current=path.current, path=path.steps) if path else source(name)
    if format_ in {Format.DOT, Format.MERMAID}:
        return text.encode()
    try:
        return diagrams.picture(text, "svg" if format_ is Format.SVG else "png")
    except diagrams.PictureError as error:
        raise WorldError(str(error)) from error


def _write(content: bytes, output: Path | None) -> None:
    if output is None:
        typer.echo(content, nl=False)
    else:
        output.write_bytes(content)
