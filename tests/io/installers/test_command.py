"""The integrator's own installer programs, run for real."""

import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from support.machine_time import machine_time

from everest_system.fsm.errors import CanceledError
from everest_system.io.installers.command import CommandInstaller
from everest_system.io.installers.port import Activation, Facts, Installer, InstallError, UnfitError

NEVER = threading.Event()


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    artifact = tmp_path / "firmware.bin"
    artifact.write_bytes(b"firmware")
    return Facts(artifact, "https://example.com/{request_id}/f.bin", 42, "system_api", "00" * 32)


def script(folder: Path, text: str) -> str:
    file = folder / "installer.sh"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


def installer(*argv: str, timeout_s: float = 10, repeatable: bool = False) -> Installer:
    return CommandInstaller(argv, timeout_s, Activation.REBOOT, repeatable=repeatable)


def install(subject: Installer, facts: Facts) -> list[int]:
    percents: list[int] = []
    subject.install(facts, subject.check(facts), canceled=NEVER, on_progress=percents.append)
    return percents


def test_facts_in_arguments_and_environment(tmp_path: Path, facts: Facts) -> None:
    """The program finds the facts where it asked for them, and all of them in its environment."""
    report = tmp_path / "report"
    program = script(tmp_path, f'printf "%s\\n" "$@" > {report}; env | grep ^EVEREST_SYSTEM_ | sort >> {report}')
    install(installer(program, "--id={request_id}", "{location}", "-f", "{artifact}", "{other}"), facts)
    assert report.read_text().splitlines() == [
        "--id=42",
        "https://example.com/{request_id}/f.bin",
        "-f",
        str(facts.artifact),
        "{other}",
        f"EVEREST_SYSTEM_ARTIFACT={facts.artifact}",
        "EVEREST_SYSTEM_LOCATION=https://example.com/{request_id}/f.bin",
        "EVEREST_SYSTEM_MODULE_ID=system_api",
        "EVEREST_SYSTEM_REQUEST_ID=42",
    ]


def test_path_comes_last_by_itself(tmp_path: Path, facts: Facts) -> None:
    """A program that does not say where it wants the path gets it as the last argument."""
    program = script(tmp_path, f'printf "%s\\n" "$@" > {tmp_path}/report')
    install(installer(program, "-v"), facts)
    assert (tmp_path / "report").read_text().splitlines() == ["-v", str(facts.artifact)]


@pytest.mark.parametrize(
    ("said", "code", "error"),
    [
        ([], 0, None),
        ([], 10, UnfitError),
        ([], 1, InstallError),
        ([], 255, InstallError),
        (["Installing"], 0, None),
        (["Installing"], 10, UnfitError),
        (["Idle", "Downloaded", "SignatureVerified"], 3, InstallError),
        (["Installing", "Installed"], 1, None),
        (["Installing", "Installed"], 10, None),
        (["Installing", "Installed", "InstallRebooting"], 1, None),
        (["Installing", "InstallRebooting", "Installed"], 0, None),
        (["Installing", "InstallationFailed"], 0, InstallError),
        (["Installing", "InstallVerificationFailed"], 0, UnfitError),
        (["InvalidSignature"], 0, UnfitError),
        (["DownloadFailed"], 0, InstallError),
        (["Installed", "InstallationFailed"], 0, InstallError),
        (["InstallationFailed", "Installed"], 1, None),
        (["InstallationFailed", "Idle"], 0, InstallError),
        (["  Installed\t"], 1, None),
        (["installed", "Installed!", "not Installed"], 1, InstallError),
        (["Uploaded", "Rejected"], 0, None),
    ],
)
def test_verdict(said: list[str], code: int, error: type[Exception] | None, tmp_path: Path, facts: Facts) -> None:
    """The last verdict decides over the exit code, and without one the exit code decides."""
    (tmp_path / "says").write_text("\n".join(said))
    subject = installer(script(tmp_path, f"cat {tmp_path}/says; exit {code}"))
    if error is None:
        install(subject, facts)
    else:
        with pytest.raises(error, match=r"installer\.sh") as caught:
            install(subject, facts)
        assert type(caught.value) is error


def test_a_killed_program_did_not_install(tmp_path: Path, facts: Facts) -> None:
    """Whatever it said before, a program that a signal killed has failed."""
    subject = installer(script(tmp_path, "echo Installed; kill -KILL $$"))
    with pytest.raises(InstallError, match=r"installer\.sh was ended by signal 9"):
        install(subject, facts)


def test_a_program_out_of_time_did_not_install(tmp_path: Path, facts: Facts) -> None:
    """Whatever it said before, a program that did not end in time has failed."""
    subject = installer(script(tmp_path, "echo Installed; sleep 60"), timeout_s=0.2)
    with pytest.raises(InstallError, match="did not end within"):
        install(subject, facts)


@pytest.mark.parametrize(("argv", "message"), [((), "names no program"), (("/nowhere/x",), "/nowhere/x was not found")])
def test_no_program(argv: tuple[str, ...], message: str, facts: Facts) -> None:
    """A program that is not there is a failed installation, and named."""
    with pytest.raises(InstallError, match=message):
        install(installer(*argv), facts)


def test_progress(tmp_path: Path, facts: Facts) -> None:
    """Lines that are a percentage, and no others, are progress."""
    (tmp_path / "says").write_text(
        "0%\n 7 %\nprogress 42\nProgress: 50%\nprogress 51 %\n100%\n101%\n999%\n12\n1000%\n-3%\n~5%\nprogress\n٣%\n"
    )
    assert install(installer(script(tmp_path, f"cat {tmp_path}/says")), facts) == [0, 7, 42, 50, 51, 100]


def test_cancel(tmp_path: Path, facts: Facts) -> None:
    """A cancel ends the program within 200 ms."""
    canceled, at = threading.Event(), [0.0]

    def cancel(percent: int) -> None:
        at[0] = machine_time()
        canceled.set()

    subject = installer(script(tmp_path, "echo 1%; sleep 60; echo 2%"))
    with pytest.raises(CanceledError):
        subject.install(facts, "", canceled=canceled, on_progress=cancel)
    assert machine_time() - at[0] < 0.2


def test_resume_repeats_what_may_be_repeated(tmp_path: Path, facts: Facts) -> None:
    """After a crash a repeatable program is run again, as the first time."""
    subject = installer(script(tmp_path, f"echo 5%; echo ran >> {tmp_path}/report"), repeatable=True)
    percents: list[int] = []
    subject.resume(facts, "", canceled=NEVER, on_progress=percents.append)
    assert (tmp_path / "report").read_text() == "ran\n"
    assert percents == [5]


def test_resume_does_not_repeat_the_rest(tmp_path: Path, facts: Facts) -> None:
    """After a crash a program that is not declared repeatable is not run, and the installation has failed."""
    subject = installer(script(tmp_path, f"echo ran > {tmp_path}/report"))
    with pytest.raises(InstallError, match=r"interrupted, and firmware\.command\.repeatable is false"):
        subject.resume(facts, "", canceled=NEVER, on_progress=lambda percent: None)
    assert not (tmp_path / "report").exists()
    with pytest.raises(InstallError, match=r"firmware\.command\.install was interrupted"):
        installer().resume(facts, "", canceled=NEVER, on_progress=lambda percent: None)


def test_what_it_does_not_know(facts: Facts) -> None:
    """It has no targets and no signatures, takes the new firmware as active, and knows no way back."""
    subject = installer("/bin/true")
    assert subject.verifies_signatures is False
    assert subject.check(facts) == ""
    assert subject.activate(facts, "") is Activation.REBOOT
    assert subject.confirm("") is True
    subject.mark_good("")
    with pytest.raises(InstallError, match="/bin/true has no way back"):
        subject.roll_back("")


@pytest.mark.parametrize(
    ("last", "error"),
    [("INSTALLED", None), ("INSTALL_REBOOTING", None), ("INSTALLATION_FAILED", InstallError), ("INVALID", UnfitError)],
)
def test_a_script_in_everests_manner(tmp_path: Path, facts: Facts, last: str, error: type[Exception] | None) -> None:
    """A script that takes its words from a file, as EVerest's own do, works as it is; its last word decides."""
    words = tmp_path / "constants.env"
    words.write_text(
        'INSTALLED="Installed"\nINSTALLING="Installing"\nINSTALL_REBOOTING="InstallRebooting"\n'
        'INSTALLATION_FAILED="InstallationFailed"\nINVALID="InstallVerificationFailed"\n'
    )
    body = '. "${1}"\n[ "$2" = "$EVEREST_SYSTEM_ARTIFACT" ] || exit 3\necho "$INSTALLING"\necho "$' + last + '"\n'
    expected = pytest.raises(error) if error else nullcontext()
    with expected:
        install(installer(script(tmp_path, body), str(words)), facts)
