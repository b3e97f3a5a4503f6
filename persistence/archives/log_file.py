"""The file that an archived log is: gzip of JSON lines, one an event.

A line has the fields of `playhall export`, so that an unpacked archive is an export. Its payload
comes last and is the text of the `jsonb` column, untouched: what is read back is what the
database gave, to the byte.
"""

import gzip
import zlib
from collections.abc import Sequence
from copy import copy
from datetime import datetime
from hashlib import sha256
from typing import IO, Final, NamedTuple

import orjson

from persistence.eventlog.hashchain import canonical_json, genesis_hash, link_hash
from persistence.eventlog.writer import EventRow
from protocol.ids import GameId

GZIP_LEVEL: Final = 9
GZIP_WINDOW: Final = 31  # zlib's way to ask for a gzip header
UNPACKED_AT_ONCE: Final = 256 * 1024
_PAYLOAD: Final = b',"payload":'
_END: Final = b"}"


class BrokenLog(Exception):
    """A log is not whole, so it is not archived; the sentence says where."""


class UnreadableLog(Exception):
    """A file is not the log that was archived."""


class LogContents(NamedTuple):
    """What was written: events, the last hash and time, and the lines' digest and length."""

    events: int
    head_hash: bytes
    last_event_at: datetime
    sha256: bytes
    content_bytes: int


class LogFileWriter:
    """Writes the events of one game, in order, and checks their chain on the way."""

    def __init__(self, game_id: GameId, file: IO[bytes]) -> None:
        self._game_id = game_id
        self._gzip = gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0)
        self._digest = sha256()
        self._hash = genesis_hash(game_id)
        self._last: EventRow | None = None
        self._bytes = 0

    def write(self, rows: Sequence[EventRow]) -> None:
        """Write the next events; raise `BrokenLog`."""
        for row in rows:
            self._follow(row)
            line = _write_line(self._game_id, row)
            self._gzip.write(line)
            self._digest.update(line)
            self._bytes += len(line)

    def finish(self) -> LogContents:
        """End the file, which stays open; raise `BrokenLog`."""
        self._gzip.close()
        if self._last is None:
            raise BrokenLog("it has no events")
        last = self._last
        digest = self._digest.digest()
        return LogContents(last.event_index + 1, last.hash, last.at, digest, self._bytes)

    def _follow(self, row: EventRow) -> None:
        index = 0 if self._last is None else self._last.event_index + 1
        if row.event_index != index:
            raise BrokenLog(f"event {index} is missing")
        payload = canonical_json(orjson.loads(row.payload))
        self._hash = link_hash(self._hash, index, row.type, payload)
        if self._hash != row.hash:
            raise BrokenLog(f"event {index} breaks the hash chain")
        self._last = row


def _write_line(game_id: GameId, row: EventRow) -> bytes:
    fields = {
        "game_id": game_id,
        "event_index": row.event_index,
        "event": row.type,
        "at": row.at.isoformat(),
        "hash": row.hash.hex(),
    }
    return b"".join((orjson.dumps(fields)[:-1], _PAYLOAD, row.payload, _END, b"\n"))


def read_line(line: bytes) -> EventRow:
    """Read an event back; raise `UnreadableLog`."""
    head, found, rest = line.partition(_PAYLOAD)
    try:
        fields = orjson.loads(head + _END)
        at, link = datetime.fromisoformat(fields["at"]), bytes.fromhex(fields["hash"])
        row = EventRow(fields["event_index"], fields["event"], rest[: -len(_END)], at, link)
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableLog(f"a line is not an event: {error}") from None
    if not found or not rest.endswith(_END):
        raise UnreadableLog("a line is cut off")
    return row


class LogUnpacker:
    """Unpacks a file, some lines at a time; a copy goes on where it was made.

    However far the file unpacks, little more than `UNPACKED_AT_ONCE` of it is in memory.
    """

    def __init__(self) -> None:
        self._unpack = zlib.decompressobj(GZIP_WINDOW)
        self._digest = sha256()
        self._left = b""
        self.packed_bytes = 0  # of the file, that were unpacked
        self.lines = 0  # that were given

    def copy(self) -> "LogUnpacker":
        """Make one that goes on from here."""
        made = copy(self)
        made._unpack, made._digest = self._unpack.copy(), self._digest.copy()
        return made

    def unpack(self, packed: bytes) -> "UnpackedLines":
        """Unpack what comes next in the file; raise `UnreadableLog`."""
        began = self.copy()
        try:
            part = self._unpack.decompress(packed, UNPACKED_AT_ONCE)
        except zlib.error as error:
            raise UnreadableLog(f"it is not a gzip file: {error}") from None
        left = self._unpack.unconsumed_tail
        self.packed_bytes += len(packed) - len(left)
        self._digest.update(part)
        *lines, self._left = (self._left + part).split(b"\n")
        self.lines += len(lines)
        return UnpackedLines(began, lines, left, is_all=len(part) < UNPACKED_AT_ONCE)

    def finish(self) -> bytes:
        """Give the digest of all lines at the end of the file; raise `UnreadableLog`."""
        if self._left or not self._unpack.eof:
            raise UnreadableLog("it is cut off")
        return self._digest.digest()


class UnpackedLines(NamedTuple):
    """Some lines, without their ends; and where they began, to come back to."""

    began: LogUnpacker
    lines: list[bytes]
    left: bytes  # to be unpacked next, unless it `is_all`
    is_all: bool
