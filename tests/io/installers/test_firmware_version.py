"""Which of two firmware versions is the older one."""

import itertools

import pytest

from everest_system.io.installers.firmware_version import FirmwareVersion

ASCENDING = [
    "0", "0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
    "1.0.0-rc.1", "1.0.0", "1.0.0.1", "1.2", "1.9", "1.10", "2.0", "10", "417", "2026.11.3", "2026.11.23", "20261123",
]  # fmt: skip


def test_order() -> None:
    """Numbers count as numbers, and pre-releases as Semantic Versioning 2.0 has them in its own example."""
    for older, newer in itertools.combinations(ASCENDING, 2):
        assert FirmwareVersion(older) < FirmwareVersion(newer)
        assert FirmwareVersion(newer) > FirmwareVersion(older)
        assert FirmwareVersion(older) != FirmwareVersion(newer)


@pytest.mark.parametrize(("one", "other"), [("1", "1.0.0"), ("1.2.0+g1", "1.2+g2"), ("0", "0.0"), ("01.2", "1.02")])
def test_equal(one: str, other: str) -> None:
    """What does not count makes no difference: missing numbers, leading zeros, and the build."""
    assert FirmwareVersion(one) == FirmwareVersion(other)
    assert hash(FirmwareVersion(one)) == hash(FirmwareVersion(other))
    assert not FirmwareVersion(one) < FirmwareVersion(other)


@pytest.mark.parametrize("text", ["", "v1", "1.", ".1", "1..2", "1.2-", "1.2+", "1.2 ", "1.2\n", "²", "1_0", "1" * 129])
def test_what_is_no_version(text: str) -> None:
    """A version that could be read in two ways is none."""
    with pytest.raises(ValueError, match="is no version"):
        FirmwareVersion(text)


def test_words() -> None:
    """It shows itself as its maker wrote it, and is no other kind of thing."""
    assert str(FirmwareVersion("1.0+b")) == "1.0+b"
    assert repr(FirmwareVersion("1.0+b")) == "FirmwareVersion('1.0+b')"
    assert FirmwareVersion("1") != "1"
