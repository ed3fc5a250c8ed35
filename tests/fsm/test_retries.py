"""When the next attempt is due."""

import pytest

from everest_system.fsm.retries import retry_delay


@pytest.mark.parametrize(
    ("interval_s", "retry_after_s", "delay_s"),
    [
        (60, None, 60),
        (60, 0, 60),
        (60, 59.5, 60),
        (60, 61, 61),
        (60, 600, 600),
        (60, 601, 600),
        (60, 1e9, 600),
        (60, -5, 60),
        (0, None, 0),
        (0, 30, 0),
        (0.5, 2, 2),
    ],
)
def test_the_delay(interval_s, retry_after_s, delay_s):
    """The request's interval, or the server's wish, up to the interval's tenfold."""
    assert retry_delay(interval_s, retry_after_s) == delay_s
