"""When the next attempt is due."""

LONGEST_RETRY_AFTER = 10  # times the retry interval


def retry_delay(interval_s: float, retry_after_s: float | None) -> float:
    """Seconds until the next attempt: the request's interval, or the server's wish, up to the interval's tenfold."""
    return max(interval_s, min(retry_after_s or 0.0, LONGEST_RETRY_AFTER * interval_s))
