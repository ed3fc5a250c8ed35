"""RAUC's words for what it will not do, and what they mean."""

import re

import pytest

from everest_system.io.installers.port import BadSignatureError, InstallError, UnfitError
from everest_system.io.installers.rauc.refusals import REFUSALS, refusal

# As RAUC 1.8 to 1.15 says them; what 1.8 says, test_rauc.py has it say itself.
WORDS = {
    "signature verification failed: Verify error: self-signed certificate": BadSignatureError,
    "signature verification failed: error:1700009E:CMS routines::verification failure": BadSignatureError,
    "Failed to verify X509 cert: certificate has expired": BadSignatureError,
    "No signature CN matching allowed-signer-cns found": BadSignatureError,
    "Unsupported number of signers: 2": BadSignatureError,
    "Invalid bundle format: Signature size (5603967993346061960) exceeds bundle size": UnfitError,
    "Invalid bundle format: Signature data is no valid CMS": UnfitError,
    "Invalid bundle format: Failed to open bundle for reading: No such file or directory": InstallError,
    "Installation error: Compatible mismatch: Expected 'station' but bundle manifest has 'other'": UnfitError,
    "Installation error: Version mismatch: Expected at least '2' but bundle manifest has '1'": UnfitError,
    "Installation error: Bundle rejected: Hook returned: no, thanks": UnfitError,
    "Bundle format 'plain' not allowed": UnfitError,
    "Encrypted bundle detected, but no decryption key given": UnfitError,
    "Failed to decrypt bundle: Failed to decrypt CMS EnvelopedData: …": UnfitError,
    "Minimum RAUC version in manifest (2.0) is newer than current version (1.8)": UnfitError,
    "Installation error: No target slot for class kernel of image Image found": UnfitError,
    "Failed to find matching variant of image for rootfs": UnfitError,
    "Failed to load manifest: Key file does not start with a group": UnfitError,
    "Failed mounting bundle: Failed to load manifest: Missing size for image rootfs.img": UnfitError,
    "Missing digest for image rootfs.img": UnfitError,
    "Key file does not have group “update”": UnfitError,
    "Unsupported image type 'tar.xyz'": UnfitError,
    "Installation error: Source image '/mnt/rootfs.img' not found": UnfitError,
    "bundle payload is corrupted": UnfitError,
    "Failed mounting bundle: Failed to open /dev/mapper/control: No such file or directory": InstallError,
    "Failed mounting bundle: failed to run mount: Operation not permitted": InstallError,
    "failed to load CA file '/etc/rauc/ca.pem' and/or directory '(null)'": InstallError,
    "Installation error: Destination device '/dev/mmcblk0p3' not found": InstallError,
    "Installation error: Failed updating slot rootfs.1: Failed to copy data: No space left on device": InstallError,
    "Installation error: Failed marking slot rootfs.1 bootable: …": InstallError,
    "Did not find booted slot (matching 'C')": InstallError,
    "failed to take ownership of bundle: could not ensure exclusive bundle access (F_SETLEASE): …": InstallError,
}


@pytest.mark.parametrize("words", WORDS)
def test_words_and_what_they_mean(words: str) -> None:
    """Each of RAUC's words becomes the error that has the right end status, and is told as RAUC said it."""
    error = refusal(words)
    assert type(error) is WORDS[words]
    assert str(error) == f"RAUC: {words}"


def test_no_words() -> None:
    """A RAUC that says nothing has failed, for whatever reason."""
    error = refusal("")
    assert (type(error), str(error)) == (InstallError, "RAUC does not say why it failed")


def test_each_row_is_needed() -> None:
    """No row of the table is behind one that takes its words, or there for nothing."""
    decided = {
        next((row for row in REFUSALS if type(refusal(words)) is row[1] and _fits(row, words)), None) for words in WORDS
    }
    assert [row[0] for row in REFUSALS if row not in decided] == []


def _fits(row: tuple[str, type[Exception]], words: str) -> bool:
    return re.search(row[0], words) is not None
