"""Passwords from a file: for the server that they are for, and from a file that others cannot read."""

import pytest

from everest_system.io.transfers.credentials_file import CredentialsError, find


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "credentials"
    path.touch(0o600)
    return path


def test_entry_of_the_server_is_found(file):
    """User and password are those of the server's own line, whatever case and quotes it is written in."""
    file.write_text(
        'machine A.example login me password "s p"\nmachine b.example login you\ndefault login x password y\n'
    )
    assert find(file, "a.example") == ("me", "s p")
    assert find(file, "b.example") == ("you", "")


def test_no_other_server_gets_a_password(file):
    """A default entry counts for nothing: who names the server would get the password."""
    file.write_text("machine a.example login me password s\ndefault login x password y\n")
    assert find(file, "example") is None
    assert find(file, "default") is None


@pytest.mark.parametrize("mode", [0o604, 0o606, 0o602])
def test_file_open_to_all_is_refused(file, mode):
    """A file that others than owner and group may read or write is refused, with the way out."""
    file.write_text("machine a login me password hidden\n")
    file.chmod(mode)
    with pytest.raises(CredentialsError, match=f"chmod o= {file}") as caught:
        find(file, "a")
    assert "hidden" not in str(caught.value)
    file.chmod(0o640)
    assert find(file, "a") == ("me", "hidden")


@pytest.mark.parametrize("content", [b"hidden", b"machine a login me password hidden\nhidden x", b"machine a \xff\xfe"])
def test_malformed_file_is_told_without_its_content(file, content):
    """What cannot be read is told by its place, not by its words."""
    file.write_bytes(content)
    with pytest.raises(CredentialsError) as caught:
        find(file, "a")
    assert "hidden" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_missing_file_and_no_file_are_told(file, tmp_path):
    """A file that is missing, or is none, is named."""
    with pytest.raises(CredentialsError, match="No such file"):
        find(tmp_path / "none", "a")
    with pytest.raises(CredentialsError, match="Is a directory"):
        find(tmp_path, "a")
    file.write_bytes(bytes(1024 * 1024 + 1))
    with pytest.raises(CredentialsError, match="no file of passwords"):
        find(file, "a")
