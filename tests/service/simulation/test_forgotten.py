"""What EVerest was told to be accepted may not be forgotten, whatever else holds."""

from typing import Any

import pytest

from everest_system.fsm.orders import Reply
from everest_system.simulation import parse
from everest_system.simulation.crashes import crashes
from everest_system.station import Station

UPDATE = {"request_id": 1, "location": "https://csms.example/fw.bin", "signing_certificate": "PEM", "signature": "b64"}
UPLOAD = {"request_id": 1, "location": "https://csms.example/"}


@pytest.mark.parametrize(
    ("command", "payload", "line"),
    [
        ("update_firmware", UPDATE, "firmware 1 of system_api: accepted, and 1 times forgotten"),
        ("upload_logs", UPLOAD, "logs 1 of system_api: accepted, and 1 times forgotten"),
    ],
)
def test_a_reply_before_its_transaction_is_found(
    monkeypatch: pytest.MonkeyPatch, command: str, payload: dict[str, Any], line: str
) -> None:
    """A station that answers before it has stored is found out by the crash in between."""
    commit = Station._commit

    def answer_first(station: Station, transaction: Any) -> None:
        for _, _, order in transaction.orders:
            if isinstance(order, Reply):
                station._reception.reply(order)
        commit(station, transaction)

    step = {"at": "5s", "everest": command, "with": payload}
    story = parse({"title": "t", "step": [step], "lasts": "5.1s", "crashes": {"until": "5.1s"}}, "s")
    assert not [found for found in crashes(story).violations if "forgotten" in found]
    monkeypatch.setattr(Station, "_commit", answer_first)
    assert [found for found in crashes(story).violations if found.endswith(line)]
