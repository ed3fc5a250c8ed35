"""Keys of our own: which can be used, and what is said of the others."""

import subprocess

import pytest
from support.http_server import make_certificate

from everest_system.io.transfers.private_keys import PrivateKeyError, check_client_certificate, check_ssh_key


def ssh_key(file, *options, passphrase=""):
    subprocess.run(["ssh-keygen", "-q", *options, "-N", passphrase, "-f", str(file)], check=True)
    return file


KINDS = [("-t", "ed25519"), ("-t", "rsa"), ("-t", "ecdsa"), ("-t", "rsa", "-m", "PEM"), ("-t", "rsa", "-m", "PKCS8")]


@pytest.mark.parametrize("options", KINDS, ids=" ".join)
def test_keys_of_openssh_are_taken(tmp_path, options):
    """What ssh-keygen writes is a key, unless it has a passphrase."""
    check_ssh_key(ssh_key(tmp_path / "key", *options))
    with pytest.raises(PrivateKeyError, match=r"locked has a passphrase, .* ssh-keygen -p"):
        check_ssh_key(ssh_key(tmp_path / "locked", *options, passphrase="secret"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no private key"),
        (b"ssh-ed25519 AAAA me", "no private key"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519", "no private key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAA", "no private key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nA\n-----END OPENSSH PRIVATE KEY-----\n", "a broken private key"),
    ],
)
def test_what_is_no_key_is_told(tmp_path, content, what):
    """A public key, a key of PuTTY's, half a key and nothing at all are named as what they are."""
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(PrivateKeyError, match=f"key is {what}"):
        check_ssh_key(file)
    with pytest.raises(PrivateKeyError, match=r"cannot read .*none: No such file"):
        check_ssh_key(tmp_path / "none")


def test_certificate_must_go_with_its_key(tmp_path):
    """A client certificate is taken with its own key, in a file of its own or behind it, and with no other."""
    (tmp_path / "other").mkdir()
    mine, another = make_certificate(tmp_path), make_certificate(tmp_path / "other")
    check_client_certificate(mine.cert_file, mine.key_file)
    both = tmp_path / "both.pem"
    both.write_bytes(mine.cert_file.read_bytes() + mine.key_file.read_bytes())
    check_client_certificate(both, None)
    with pytest.raises(PrivateKeyError, match=r"other/server\.key is not the key of .*server\.crt"):
        check_client_certificate(mine.cert_file, another.key_file)
    with pytest.raises(PrivateKeyError, match=r"server\.key is no PEM certificate"):
        check_client_certificate(mine.key_file, mine.key_file)
    with pytest.raises(PrivateKeyError, match=r"cannot read .*none: No such file"):
        check_client_certificate(mine.cert_file, tmp_path / "none")


def test_nobody_is_asked_for_a_passphrase(tmp_path):
    """A client's key with a passphrase is told, and no terminal is asked for it."""
    mine, locked = make_certificate(tmp_path), tmp_path / "locked.key"
    command = ["openssl", "pkey", "-aes256", "-passout", "pass:secret", "-in", mine.key_file, "-out", locked]
    subprocess.run(command, check=True)
    with pytest.raises(PrivateKeyError, match=r"locked\.key has a passphrase"):
        check_client_certificate(mine.cert_file, locked)
