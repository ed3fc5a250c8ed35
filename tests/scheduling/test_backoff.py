"""The pauses between tries to reach the broker."""

from everest_system.scheduling.backoff import Backoff


def test_pauses_double_up_to_the_longest():
    """They begin with the first and never exceed the longest."""
    backoff = Backoff(first_s=0.5, longest_s=5)
    assert [backoff.next_s() for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]


def test_success_begins_anew():
    """After a connection the first pause is short again."""
    backoff = Backoff(first_s=1, longest_s=8)
    backoff.next_s()
    backoff.next_s()
    backoff.reset()
    assert [backoff.next_s(), backoff.next_s()] == [1, 2]
