"""The version of the distribution and the day on which it was made, in one place: both are set at a release."""

from datetime import UTC, datetime

__version__ = "0.1.0"

BUILT = datetime(2026, 11, 23, tzinfo=UTC)
"""A clock before this day is wrong, and certificates are not judged by it: `docs/decisions`, number 14."""
