"""`everest-system verify`."""

from datetime import timedelta
from pathlib import Path

import pytest
from support.cli import run_cli
from support.pki import NOT_AFTER, NOW, Issuer, private_key

from everest_system.commands import verify as verify_command

IMAGE = b"firmware" * 1000


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with an image, its signature and certificate, the root that vouches, one that does not, a CRL."""
    root = Issuer.root()
    signer = root.issue(key=private_key("rsa2048"))
    (tmp_path / "fw.img").write_bytes(IMAGE)
    (tmp_path / "signer.pem").write_text(signer.pem)
    (tmp_path / "fw.sig").write_text(signer.sign(IMAGE, "rsa-pss"))
    (tmp_path / "root.pem").write_text(root.pem)
    (tmp_path / "other.pem").write_text(Issuer.root("Other").pem)
    (tmp_path / "crl.pem").write_text(root.crl(signer))
    (tmp_path / "empty.toml").write_text("")
    return tmp_path


def verify(files: Path, *more: str) -> tuple[int, str, str]:
    arguments = [files / "fw.img", "--certificate", files / "signer.pem", "--signature", files / "fw.sig"]
    config = [] if "-c" in more else ["-c", files / "empty.toml"]
    return run_cli("verify", *arguments, *config, *(files / word if "." in word else word for word in more))


def test_good_signature_prints_its_scheme(files: Path) -> None:
    """A file signed under the anchor is good, and the scheme is all that standard output has."""
    assert verify(files, "--anchor", "root.pem")[:2] == (0, "rsa-pss\n")


def test_configured_anchors_do_for_missing_ones(files: Path) -> None:
    """Without --anchor the station's own anchors vouch."""
    (files / "a.toml").write_text(f'[firmware]\ntrust_anchors = ["{files}/root.pem"]\n')
    assert verify(files, "-c", "a.toml")[:2] == (0, "rsa-pss\n")
    (files / "a.toml").write_text(f'[firmware]\ntrust_anchors = ["{files}/other.pem"]\n')
    assert verify(files, "-c", "a.toml")[:2] == (1, "")


def test_nobody_vouching_is_a_no(files: Path) -> None:
    """With no anchors at all the service would answer InvalidCertificate, and so does the command."""
    code, out, err = verify(files)
    assert (code, out) == (1, "")
    assert "no trust anchor: give --anchor, or set firmware.trust_anchors" in err


def test_everest_vouching_is_noted(files: Path) -> None:
    """Where EVerest is to vouch for the certificate the signature is checked, and a note says what was not."""
    (files / "a.toml").write_text('[firmware]\nchain = "everest"\n')
    code, out, err = verify(files, "-c", "a.toml")
    assert (code, out) == (0, "rsa-pss\n")
    assert "nobody vouches" in err


@pytest.mark.parametrize(
    ("change", "more", "reason"),
    [
        (("fw.img", b"other"), ["--anchor", "root.pem"], "does not fit"),
        (("fw.sig", b"\xff\x00"), ["--anchor", "root.pem"], "fw.sig: the signature is not base64"),
        (("signer.pem", b"nothing"), ["--anchor", "root.pem"], "signer.pem: there is no PEM CERTIFICATE"),
        (("root.pem", b"nothing"), ["--anchor", "root.pem"], "root.pem: "),
        (None, ["--anchor", "other.pem"], "signer.pem: "),
        (None, ["--anchor", "root.pem", "--crl", "crl.pem"], "revoked"),
    ],
)
def test_refused_file_has_its_reason(
    files: Path, change: tuple[str, bytes] | None, more: list[str], reason: str
) -> None:
    """What the service would refuse is code 1 with the reason in one line."""
    if change:
        (files / change[0]).write_bytes(change[1])
    code, out, err = verify(files, *more)
    assert (code, out) == (1, "")
    *notes, last = err.splitlines()
    assert last.startswith("everest-system: ")
    assert reason in last
    assert all(note.startswith("note: ") for note in notes)


def test_lists_required_by_the_configuration(files: Path) -> None:
    """Where the station requires current lists, so does the command; --crl stands in for the station's own."""
    (files / "a.toml").write_text(
        f'[firmware]\ntrust_anchors = ["{files}/root.pem"]\ncrls = ["{files}/old.pem"]\ncrl_policy = "require"\n'
    )
    maker = Issuer.root()
    (files / "old.pem").write_text(maker.crl(next_update=NOW))
    (files / "new.pem").write_text(maker.crl(next_update=NOT_AFTER))
    code, out, err = verify(files, "-c", "a.toml")
    assert (code, out) == (1, "")
    assert "old.pem: out of date); firmware.crl_policy requires a CRL" in err
    assert verify(files, "-c", "a.toml", "--crl", "new.pem") == (0, "rsa-pss\n", "")
    assert "revoked (" in verify(files, "-c", "a.toml", "--crl", "crl.pem")[2]


def test_clock_before_the_build_is_noted(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this machine's clock cannot be right, a note says what that means, and the verdict is the service's."""
    monkeypatch.setattr(verify_command, "BUILT", NOT_AFTER)
    code, out, err = verify(files, "--anchor", "root.pem")
    assert (code, out) == (0, "rsa-pss\n")
    assert "before this software was built (2049-01-01)" in err
    monkeypatch.setattr(verify_command, "BUILT", NOT_AFTER + timedelta(days=1))
    code, _, err = verify(files, "--anchor", "root.pem")
    assert (code, "expired on 2049-01-01" in err) == (1, True)


def test_missing_file_is_a_wrong_argument(files: Path) -> None:
    """A file that is not there is no verdict on it."""
    (files / "fw.sig").unlink()
    code, _, err = verify(files)
    assert (code, "fw.sig" in err) == (2, True)
