"""Deltas: a zstd frame that has the earlier version's bytes as its prefix (`zstd --patch-from`).

What runs here blocks, and holds both versions in memory.
"""

import sys
from typing import Final

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# A delta that saves less than this is not worth a second object, and a client's memory.
WORTH_IT: Final = 0.8
LEVEL: Final = 12
PREFIX_BYTES_MIN: Final = 8
# Up to 2 GiB on 64 bits; both versions together must fit.
WINDOW_LOG_MIN: Final = 10
WINDOW_LOG_MAX: Final = 31


def make_delta(old: bytes, new: bytes) -> bytes | None:
    """Make what turns `old` into `new`; None if it would not be much smaller than `new`."""
    window_log = max(WINDOW_LOG_MIN, (len(old) + len(new)).bit_length())
    if len(old) < PREFIX_BYTES_MIN or window_log > WINDOW_LOG_MAX:
        return None
    parameters = zstd.CompressionParameter
    delta = zstd.compress(
        new,
        options={
            parameters.compression_level: LEVEL,
            parameters.window_log: window_log,
            parameters.enable_long_distance_matching: 1,
            parameters.checksum_flag: 1,
        },
        zstd_dict=zstd.ZstdDict(old, is_raw=True).as_prefix,
    )
    return delta if len(delta) <= len(new) * WORTH_IT else None
