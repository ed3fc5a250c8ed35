"""The demonstration's firmware."""

import hashlib
from datetime import UTC, datetime

import pytest

from everest_system.demo.firmware_image import make_firmware
from everest_system.io.trust.signature import verify_file
from everest_system.io.trust.trust import Trust
from everest_system.io.trust.verification_error import CertificateError, SignatureError

SCHEMES = ("rsa-pss", "rsa-pkcs1v15", "ecdsa")


@pytest.fixture
def firmware(tmp_path):
    return make_firmware(tmp_path, size_mib=2, seed=5)


def test_the_service_would_accept_it(firmware):
    """Root, certificate, signature and image satisfy the service's own checks."""
    certificate = Trust([firmware.root]).check(firmware.certificate, datetime.now(UTC))
    assert verify_file(firmware.image, certificate, firmware.signature, SCHEMES) == "ecdsa"


def test_the_service_would_refuse_the_tampered_copy(firmware):
    """The tampered image has the same length, one other bit, and a wrong signature."""
    certificate = Trust([firmware.root]).check(firmware.certificate, datetime.now(UTC))
    with pytest.raises(SignatureError):
        verify_file(firmware.tampered, certificate, firmware.signature, SCHEMES)
    good, bad = firmware.image.read_bytes(), firmware.tampered.read_bytes()
    assert len(good) == len(bad) == 2 << 20
    assert sum((a ^ b).bit_count() for a, b in zip(good, bad, strict=True)) == 1


def test_another_manufacturer_does_not_vouch_for_it(firmware, tmp_path):
    """Each firmware has a root of its own."""
    (tmp_path / "other").mkdir()
    other = make_firmware(tmp_path / "other", size_mib=1)
    with pytest.raises(CertificateError):
        Trust([other.root]).check(firmware.certificate, datetime.now(UTC))


def test_files_say_the_same_as_the_texts(firmware):
    """Certificate and signature are there as text and as files, the digest is the image's."""
    assert firmware.certificate_file.read_text() == firmware.certificate
    assert firmware.signature_file.read_text() == firmware.signature + "\n"
    assert firmware.sha256 == hashlib.sha256(firmware.image.read_bytes()).hexdigest()


def test_content_follows_from_the_seed(firmware, tmp_path):
    """The same seed makes the same image, another one another."""
    (tmp_path / "again").mkdir()
    assert make_firmware(tmp_path / "again", size_mib=2, seed=5).sha256 == firmware.sha256
    assert make_firmware(tmp_path / "again", size_mib=2, seed=6).sha256 != firmware.sha256


def test_an_image_has_a_size(tmp_path):
    """Less than 1 MiB is refused."""
    with pytest.raises(ValueError, match="1 MiB at least"):
        make_firmware(tmp_path, size_mib=0)
