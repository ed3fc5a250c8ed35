"""What there is to see of a station when a test of it has failed: enough to explain the failure, and to play it again.

    with evidence(station, service) as seen:
        ...                                   # fails
    # printed: the service's log and all that went over the broker, in the order of time, and what the store has

`seen.signs_of_life` counts the service's communication checks: a clock that runs as slowly as the machine does.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from support.brokers import Broker
from support.service_process import ServiceProcess

from everest_system.io.mqtt.link import MessageArrived, MqttEvent, MqttLink, MqttSettings

HISTORY_SHOWN = 60
_LONGEST = 300


class WireRecord:
    """Listens to everything on a broker, from `start` to `stop`.

    Attributes:
        signs_of_life: communication checks so far.
    """

    def __init__(self, broker: Broker) -> None:
        self.signs_of_life = 0
        self._lock = threading.Lock()
        self._lines: list[tuple[str, str]] = []
        self._link = MqttLink(MqttSettings(broker.host, broker.port), self._take, [("#", 0)])

    def start(self) -> None:
        """Begin to listen."""
        self._link.connect()

    def stop(self) -> None:
        """Hear no more."""
        self._link.disconnect()

    def note(self, text: str) -> None:
        """Put a line of the test's own in between."""
        with self._lock:
            self._lines.append((datetime.now(UTC).isoformat(), f"test   {text}"))

    def lines(self) -> list[tuple[str, str]]:
        """Time and text of each message; of heartbeats and signs of life only the first in a row."""
        with self._lock:
            return list(self._lines)

    def _take(self, event: MqttEvent) -> None:
        time = datetime.now(UTC).isoformat()
        with self._lock:
            if not isinstance(event, MessageArrived):
                self._lines.append((time, f"mqtt   {event}"[:_LONGEST]))
                return
            _, _, name = event.topic.partition("/system/")
            self.signs_of_life += name.endswith("/communication_check")
            said = f"mqtt   {name}"
            if not (name.endswith(("/heartbeat", "/communication_check")) and self._last_is(said)):
                self._lines.append((time, f"{said} {event.payload.decode('utf-8', 'replace')}"[:_LONGEST]))

    def _last_is(self, said: str) -> bool:
        """Whether nothing but signs of life came since the last one of this name."""
        for _, text in reversed(self._lines):
            if text.startswith(said):
                return True
            if "/heartbeat" not in text and "/communication_check" not in text:
                return False
        return False


@contextmanager
def evidence(broker: Broker, service: ServiceProcess) -> Iterator[WireRecord]:
    """Listen while the block lasts; when it fails, print what was seen."""
    record = WireRecord(broker)
    record.start()
    try:
        yield record
    except BaseException:
        print(told(record, service))
        raise
    finally:
        record.stop()


def told(record: WireRecord, service: ServiceProcess) -> str:
    """Log and wire in the order of time, then the store."""
    said = [(line.get("timestamp", ""), f"log    {json.dumps(line)}") for line in service.log]
    for number, (time, text) in enumerate(said[1:], 1):
        if not time:  # a line that is none of the log's belongs behind the one before
            said[number] = (said[number - 1][0], text)
    lines = sorted([*said, *record.lines()], key=lambda line: line[0].replace("Z", "+00:00"))
    ends = f"started {service.starts} times, ended with {service.exits}"
    return "\n".join(
        [*(f"{time[11:26]} {text}" for time, text in lines), ends, *stored(service.state_dir / "state.db")]
    )


def stored(file: Path) -> list[str]:
    """Snapshots, waiting statuses and the newest history, a line each."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as db:
            return [
                f"stored {table} {row}"
                for table, order in (("snapshots", "machine"), ("outbox", "seq"), ("history", "seq DESC"))
                for row in db.execute(f"SELECT * FROM {table} ORDER BY {order} LIMIT {HISTORY_SHOWN}")
            ]
    except sqlite3.Error as error:
        return [f"stored: {error}"]
