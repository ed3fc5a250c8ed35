"""What a crash leaves of downloads, and what the next start makes of it."""

import json
import sqlite3
from contextlib import closing

from support.http_server import File, Reply
from support.stations import IMAGE, MEBIBYTE, Station


def test_part_of_an_update_whose_time_ran_out(station: Station, http):
    """A part that is older than its update may live is removed at the start, with DownloadFailed and no new attempt."""
    http.files["/fw.bin"] = File(IMAGE * 8, etag='"one"')
    http.plan("/fw.bin", Reply(stall_at=6 * MEBIBYTE), Reply())
    service, everest = station.both()
    everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1})
    service.wait_for_status(lambda told: told["firmware"]["received"] > 0)
    service.kill()
    (part,) = (service.state_dir / "artifacts").iterdir()
    leftover = part.with_name("update-0")
    leftover.write_bytes(IMAGE)
    with closing(sqlite3.connect(service.state_dir / "state.db")) as db, db:
        (text,) = db.execute("SELECT json FROM snapshots WHERE machine = 'firmware'").fetchone()
        snapshot = json.loads(text)
        snapshot["timers"]["DownloadTimedOut"]["monotonic"] = 0.0
        db.execute("UPDATE snapshots SET json = ? WHERE machine = 'firmware'", [json.dumps(snapshot)])
    service.start()
    everest.accept_boot()
    everest.wait_for("DownloadFailed", 1)
    service.stop()
    assert not part.exists()
    assert not leftover.exists()
    assert len(http.requests) == 1
