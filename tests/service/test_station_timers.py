"""Timers at the station: what is due is done, whatever the clock says by then."""

from datetime import UTC, datetime

from support.virtual import REQUEST, virtual, words


def test_wait_of_an_earlier_boot_under_a_clock_far_behind() -> None:
    """A wait that began before a power cut ends after its whole duration at the latest, even if no one sets it."""
    with virtual({"download": ["503", "ok"]}, firmware={"unsigned": "accept"}) as simulation:
        simulation.everest().ask("update_firmware", {**REQUEST, "retries": 2, "retry_interval_s": 600})
        simulation.run_for(60)
        simulation.cut_power(1)
        simulation.run_for(120)  # its CSMS has set the clock by now, and does so only once
        simulation.set_wall(datetime(2020, 1, 1, tzinfo=UTC))
        simulation.run_for(500)
        assert words(simulation) == ["Downloading", "DownloadFailed"]
        simulation.run_for(101)
        assert words(simulation)[:3] == ["Downloading", "DownloadFailed", "Downloading"]
