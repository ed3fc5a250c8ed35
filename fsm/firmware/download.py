"""The download's part of a firmware update: schedule, attempts, pauses."""

from everest_system.fsm.artifact import Part
from everest_system.fsm.deadlines import At, remaining
from everest_system.fsm.events import RetryTimeReached
from everest_system.fsm.firmware.base import FirmwareBase
from everest_system.fsm.firmware.events import DownloadTimedOut, RetrieveTimeReached
from everest_system.fsm.orders import StartDownload

GROWTH_THAT_COUNTS = 1 << 20  # bytes: a link that keeps breaking may go on for as long as it brings this much each time


class Download(FirmwareBase):
    """Guards and actions from ACCEPTED to DOWNLOADED."""

    def retrieve_time_ahead(self) -> bool:
        """The download is to begin later (L01.FR.13)."""
        at = self.request.retrieve_timestamp
        return at is not None and at > self.now.wall

    def wait_for_retrieve_time(self) -> None:
        """Wait for the wall clock to reach the retrieve time."""
        assert self.request.retrieve_timestamp is not None
        self.set_deadline(RetrieveTimeReached, At(wall=self.request.retrieve_timestamp))

    def start_download(self) -> None:
        """Begin an attempt, and with the first one the time that all of them have."""
        self.clear_timers(RetryTimeReached)
        if DownloadTimedOut.__name__ not in self.draft.timers:
            self.set_timer(DownloadTimedOut, self.rules.download_timeout_s)
        self._fetch()

    def download_on(self) -> None:
        """After a start: fetch, on from the part that is there, unless the time for it is over."""
        deadline = self.draft.timers.get(DownloadTimedOut.__name__)
        if deadline is not None and remaining(deadline, self.now) <= 0:
            self.raise_event(DownloadTimedOut(self.draft.job))
        else:
            self._fetch()

    def _fetch(self) -> None:
        self.order(StartDownload(self.draft.job, self.new_work(), self.request, self.draft.part))

    def keep_part(self) -> None:
        """Remember what is safe on disk; bytes that never were there before are progress."""
        self.draft.part = self.event.part
        if self.draft.part.length > self.draft.reached:
            self.draft.reached, self.draft.starts = self.draft.part.length, 0

    def keep_artifact(self) -> None:
        """The download is complete."""
        self.clear_timers(DownloadTimedOut)
        self.draft.artifact, self.draft.part = self.event.artifact, Part()
        self.hear_artifact()

    def _grew(self) -> bool:
        return self.draft.part.length >= self.draft.furthest + GROWTH_THAT_COUNTS

    def may_continue(self) -> bool:
        """The attempt brought the download well on, or was not the last."""
        return self._grew() or self.attempts_left()

    def count_interruption(self) -> None:
        """Go on with the part after the interval; an attempt that brought the download well on is not used up."""
        if not self._grew():
            self.draft.attempts += 1
        self.draft.furthest = max(self.draft.furthest, self.draft.part.length)
        self.keep_reason()
        self.set_timer(RetryTimeReached, self.retry_interval_s)

    def give_up_download(self) -> None:
        """All the time for the download is used up."""
        self.stop_work()
        self.draft.reason = f"the download took longer than {self.rules.download_timeout_s:g} s"

    def not_held(self) -> bool:
        """The pause is a broken connection's, not yet the operator's."""
        return not self.draft.held

    def hold_download(self) -> None:
        """Stop for as long as the operator wants, who also has the time for the download begin anew."""
        self.stop_work()
        self.clear_timers()
        self.draft.held = True

    def release_download(self) -> None:
        """The operator lets it go on."""
        self.clear_timers(RetryTimeReached)
        self.draft.held = False
