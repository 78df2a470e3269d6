"""A token bucket allows its capacity at once, then one at a time as it refills."""

from functions.domain.token_bucket import TokenBucket


def test_full_bucket_allows_its_capacity_at_once_and_then_refills_evenly() -> None:
    bucket = TokenBucket.full(capacity=2, per_minute=2, now=0)
    for _ in range(2):
        assert bucket.wait_s(0) == 0
        bucket = bucket.take(0)

    assert [30, 15, 0] == [bucket.wait_s(now) for now in (0, 15, 30)]


def test_bucket_never_holds_more_than_its_capacity() -> None:
    bucket = TokenBucket.full(capacity=2, per_minute=60, now=0).take(0)

    assert TokenBucket.full(capacity=2, per_minute=60, now=3600).take(3600) == bucket.take(3600)


def test_clock_that_runs_backwards_takes_nothing_away() -> None:
    bucket = TokenBucket.full(capacity=1, per_minute=60, now=100)

    assert bucket.wait_s(40) == 0
