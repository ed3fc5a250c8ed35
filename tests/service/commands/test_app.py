"""The command line as a whole: exit codes, errors, help."""

import builtins
import sys
from pathlib import Path

import pytest
from support.cli import run_cli

from everest_system import cli
from everest_system.commands import check_config, service_process
from everest_system.fsm.errors import RequestError, WorldError

COMMANDS = ["run", "status", "history", "pause", "resume", "reset", "verify", "check-config", "diagram", "demo"]
REQUESTS = [
    "update-firmware",
    "allow-installation",
    "upload-logs",
    "is-reset-allowed",
    "reset",
    "set-system-time",
    "get-boot-reason",
    "configure-network",
]


@pytest.mark.parametrize(
    "words",
    [*([name] for name in COMMANDS), *(["request", name] for name in REQUESTS)],
    ids=" ".join,
)
def test_each_command_explains_itself_with_an_example(words: list[str]) -> None:
    """The help of a command says what it does, and shows a command line to start from."""
    code, out, err = run_cli(*words, "--help")
    assert (code, err) == (0, "")
    assert f"Usage: everest-system {' '.join(words)}" in out
    assert f"Examples:\n    everest-system {' '.join(words)}" in out


def test_no_arguments_show_the_help_and_all_commands() -> None:
    """Whoever knows nothing yet is shown what there is."""
    code, out, _ = run_cli()
    assert code == 0
    assert all(f"\n  {name} " in out for name in [*COMMANDS, "request"])


def test_version() -> None:
    """`--version` names the program and its version."""
    code, out, _ = run_cli("--version")
    assert (code, out.split()[0], len(out.split())) == (0, "everest-system", 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["status", "--nonsense"],
        ["history", "--limit", "x"],
        ["history", "--limit", "0"],
        ["request"],
        ["diagram", "nothing"],
        ["run", "-c"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_one_line_and_code_2(arguments: list[str]) -> None:
    """Wrong arguments exit with 2 and one line that says where help is."""
    code, out, err = run_cli(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--help)" in err
    assert "Value error" not in err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (WorldError("the disk\nis full"), 1, "everest-system: the disk is full\n"),
        (RequestError("no such time"), 2, "everest-system: no such time\n"),
        (FileNotFoundError(2, "No such file", "x"), 1, "everest-system: x: No such file\n"),
        (TypeError("oops"), 1, "everest-system: internal error: TypeError: oops (--debug shows where)\n"),
    ],
)
@pytest.mark.parametrize("arguments", [["check-config"], ["run"]], ids=" ".join)
def test_errors_are_one_line_with_their_code(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], error: Exception, code: int, line: str
) -> None:
    """Each kind of fault has its exit code, on either way to a command."""

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(check_config, "usable_settings_of", fail)
    monkeypatch.setattr(service_process, "usable_settings_of", fail)
    assert run_cli(*arguments) == (code, "", line)


def test_debug_shows_the_traceback_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--debug` adds where an error comes from."""

    def fail(_: object) -> None:
        raise WorldError("gone")

    monkeypatch.setattr(check_config, "usable_settings_of", fail)
    code, _, err = run_cli("--debug", "check-config")
    assert code == 1
    assert err.startswith("Traceback")
    assert err.endswith("everest-system: gone\n")


@pytest.mark.parametrize("arguments", [["check-config"], ["run", "-c", "x"]], ids=" ".join)
def test_interrupt_by_hand_is_quiet(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    """Ctrl-C ends a command with 130 and no word."""

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check_config, "usable_settings_of", interrupt)
    monkeypatch.setattr(service_process, "usable_settings_of", interrupt)
    assert run_cli(*arguments) == (130, "", "")


@pytest.mark.parametrize(
    ("arguments", "plain"),
    [
        (["run"], True),
        (["run", "-c", "f"], True),
        (["run", "--config", "f"], True),
        (["run", "-c", "--help"], False),
        (["run", "--help"], False),
        (["status"], False),
    ],
)
def test_plain_run_goes_without_typer(arguments: list[str], plain: bool) -> None:
    """Only what can mean nothing else is understood without the library for arguments."""
    assert cli._is_plain_run(arguments) is plain


def test_reader_that_leaves_early_is_no_traceback(tmp_path: Path) -> None:
    """`everest-system diagram firmware | head` ends without a complaint."""
    import subprocess

    script = f"{sys.executable} -m everest_system diagram firmware | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=30)
    assert done.stderr == ""
    assert done.returncode in {0, 1}


def test_command_line_loads_no_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """Help and errors of every command do without rich."""
    real = builtins.__import__

    def no_rich(name: str, *args: object, **more: object) -> object:
        assert not name.startswith("rich"), name
        return real(name, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", no_rich)
    assert run_cli("status", "--help")[0] == 0
    assert run_cli("nonsense")[0] == 2


@pytest.mark.parametrize("command", [("discover",), ("request", "get-boot-reason")])
@pytest.mark.parametrize("seconds", ["0", "1e300", "nan"])
def test_a_wait_is_no_longer_than_a_day(command: tuple[str, ...], seconds: str) -> None:
    """A time-out that no clock could hold is a wrong argument, said in a line before anything is asked."""
    code, out, err = run_cli(*command, "--timeout", seconds)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--timeout" in err
