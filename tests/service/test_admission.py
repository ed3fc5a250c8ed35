"""What is looked at before a request reaches a machine."""

from datetime import UTC, datetime

import pytest

from everest_system.admission import Admission, disable_connectors
from everest_system.fsm.messages import FirmwareUpdateRequest

URL = "https://user:secret@csms.example/fw.bin?token=x"


@pytest.mark.parametrize(
    ("fragment", "says"),
    [
        ("", None),
        ("#", None),
        ("#disable_connectors_during_install=false", False),
        ("#disable_connectors_during_install=true", True),
        ("#disable_connectors_during_install=False", None),
        ("#disable_connectors_during_install=0", None),
        ("#disable_connectors_during_install", None),
        ("#disable_connectors_during_install=false&x=1", None),
        ("#x=1&disable_connectors_during_install=false", None),
        ("#disable_connectors_during_install=false#", None),
        ("#%64isable_connectors_during_install=false", None),
        ("?disable_connectors_during_install=false", None),
    ],
)
def test_what_a_location_says_of_the_connectors(fragment: str, says: bool | None) -> None:
    """Two fragments mean something, to the letter; every other one is nothing to us, as it is nothing to servers."""
    assert disable_connectors(URL + fragment) is says


def test_no_fragment_goes_any_further() -> None:
    """What is stored, shown and fetched is the location without it."""
    admission = Admission(("https",), unsigned=True, check_certificate=lambda *_: None, logs_schemes=(), sources={})
    request = FirmwareUpdateRequest(request_id=1, location=URL + "#disable_connectors_during_install=false")
    assert admission.update(request, datetime.now(UTC)).location == URL
