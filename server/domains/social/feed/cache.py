"""Pages of the anonymous public feed, kept for a time."""

from collections import OrderedDict
from collections.abc import Hashable


class PageCache:
    """Pages by what was asked for; the ones unused for longest go when there are too many bytes.

    What is read while the cache is cleared is not kept: it may be older than what cleared it.
    """

    def __init__(self, *, kept_s: float, bytes_max: int) -> None:
        self.hits = 0
        self.misses = 0
        self._kept_s = kept_s
        self._bytes_max = bytes_max
        self._bytes = 0
        self._generation = 0
        self._pages: OrderedDict[Hashable, tuple[float, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pages)

    @property
    def generation(self) -> int:
        """How often it was cleared; read it before the page, and give it to `put`."""
        return self._generation

    def get(self, key: Hashable, now: float) -> bytes | None:
        """Find a page that is not too old."""
        found = self._pages.get(key)
        if found is None or now - found[0] >= self._kept_s:
            self.misses += 1
            return None
        self._pages.move_to_end(key)
        self.hits += 1
        return found[1]

    def put(self, key: Hashable, page: bytes, now: float, *, generation: int) -> None:
        """Keep a page, unless the cache was cleared since it was read."""
        if generation != self._generation or len(page) > self._bytes_max:
            return
        self._drop(key)
        self._pages[key] = (now, page)
        self._bytes += len(page)
        while self._bytes > self._bytes_max:
            self._drop(next(iter(self._pages)))

    def clear(self) -> None:
        """Drop all pages."""
        self._generation += 1
        self._pages.clear()
        self._bytes = 0

    def _drop(self, key: Hashable) -> None:
        if (dropped := self._pages.pop(key, None)) is not None:
            self._bytes -= len(dropped[1])
