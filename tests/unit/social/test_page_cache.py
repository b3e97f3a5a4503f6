"""The cache of the anonymous public feed."""

from server.domains.social.feed.cache import PageCache


def test_pages_are_kept_for_a_time() -> None:
    cache = PageCache(kept_s=300, bytes_max=100)
    cache.put("a", b"page", 0.0, generation=cache.generation)
    assert cache.get("a", 299.9) == b"page"
    assert cache.get("a", 300.0) is None
    assert (cache.hits, cache.misses) == (1, 1)


def test_page_that_was_read_before_the_cache_was_cleared_is_not_kept() -> None:
    cache = PageCache(kept_s=300, bytes_max=100)
    generation = cache.generation
    cache.clear()
    cache.put("a", b"old", 0.0, generation=generation)
    assert cache.get("a", 0.0) is None


def test_pages_unused_for_longest_go_first() -> None:
    cache = PageCache(kept_s=300, bytes_max=10)
    for key in "ab":
        cache.put(key, b"12345", 0.0, generation=0)
    cache.get("a", 1.0)
    cache.put("c", b"12345", 1.0, generation=0)
    assert [cache.get(key, 2.0) is not None for key in "abc"] == [True, False, True]
    cache.put("d", b"x" * 11, 2.0, generation=0)
    assert cache.get("d", 2.0) is None
    assert len(cache) == 2
