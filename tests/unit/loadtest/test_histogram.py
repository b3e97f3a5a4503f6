from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure import BUCKETS, Histogram, bucket_index, bucket_upper_us

MICROSECONDS = st.integers(0, 2**31 - 1)


@given(MICROSECONDS)
def test_bucket_holds_the_value_and_is_at_most_a_32nd_wide(us):
    bucket = bucket_index(us)

    assert bucket_upper_us(bucket - 1) < us <= bucket_upper_us(bucket) if bucket else us == 0
    assert bucket_upper_us(bucket) <= us + us / 32


def test_every_duration_has_a_bucket():
    assert bucket_index(10**15) == BUCKETS - 1
    assert bucket_index(-1) == 0


@given(st.lists(MICROSECONDS, min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_quantile_is_close_above_the_exact_one(values, q):
    histogram = Histogram()
    for us in values:
        histogram.record(us / 1e6)
    rank = max(1, -(-len(values) * q // 1))
    exact_s = sorted(values)[int(rank) - 1] / 1e6

    assert exact_s - 2e-6 <= histogram.quantile_s(q) <= exact_s * (1 + 1 / 32) + 2e-6


@given(st.lists(MICROSECONDS, max_size=50), st.lists(MICROSECONDS, max_size=50))
def test_adding_and_taking_away_are_opposites(first, second):
    one, two = Histogram(), Histogram()
    for us in first:
        one.record(us / 1e6)
    for us in second:
        two.record(us / 1e6)
    both = one.copy()
    both.add(two)

    assert both.count == len(first) + len(second)
    assert both.since(one).counts == two.counts
    assert both.max_s == max(one.max_s, two.max_s)


def test_empty_histogram_has_zero_quantiles_and_nothing_to_plot():
    assert Histogram().quantile_s(0.99) == 0.0
    assert list(Histogram().octaves()) == []


def test_plot_steps_count_everything_once():
    histogram = Histogram()
    for us in range(1, 5000):
        histogram.record(us / 1e6)
    steps = list(histogram.octaves())

    assert sum(count for _, count in steps) == 4999
    assert [bound for bound, _ in steps] == sorted(bound for bound, _ in steps)
