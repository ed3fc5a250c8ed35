"""A station that trusts the manufacturer of `support.trusting_station`."""

from pathlib import Path

import pytest
from support.trusting_station import TrustingStation


@pytest.fixture
def station(tmp_path: Path) -> TrustingStation:
    return TrustingStation(tmp_path)


@pytest.fixture
def vouched(tmp_path: Path) -> TrustingStation:
    return TrustingStation(tmp_path, "everest")
