"""HTTP as a device uses it, with a record of what the server acknowledged and how long it took."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

import orjson

from loadtest.measure import Counters, Histogram
from playhall.errors import Json, RequestRefused
from playhall.http import HttpClient

SAVES: Final = "/v1/saves/"
WRITE: Final = "save write"
BATCH: Final = "telemetry batch"
MANIFEST: Final = "manifest"
KINDS: Final = (WRITE, BATCH, MANIFEST)


class Acknowledged(NamedTuple):
    """A write that the server said is committed."""

    revision: int
    device: str
    checksum: str


@dataclass(slots=True)
class Latencies:
    """How long each kind of request took."""

    by_kind: dict[str, Histogram] = field(
        default_factory=lambda: {kind: Histogram() for kind in KINDS}
    )

    def add(self, other: "Latencies") -> None:
        """Count everything that another one has counted."""
        for kind, histogram in other.by_kind.items():
            self.by_kind[kind].add(histogram)


class RecordingHttp(HttpClient):
    """Requests of one device; `acknowledged` has its writes, by the ids of their mutations."""

    def __init__(self, url: str, *, counters: Counters, latencies: Latencies) -> None:
        super().__init__(url)
        self.acknowledged: dict[str, Acknowledged] = {}
        self.moved: list[str] = []  # repeats that were answered with another revision
        self._counters = counters
        self._latencies = latencies

    async def request(
        self,
        method: str,
        path: str,
        *,
        token: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Make a request; a write of a save is noted once it is acknowledged."""
        is_write = method == "PUT" and path.startswith(SAVES) and body is not None
        began_s = time.perf_counter()
        try:
            answer = await super().request(method, path, token=token, body=body, headers=headers)
        except RequestRefused as refused:
            self._counters.refusals[refused.code] += 1
            # It is committed all the same, as a branch.
            if is_write and refused.code == "save_conflict" and refused.details is not None:
                self._note(body, int(refused.details["revision"]), began_s)
            raise
        if is_write:
            self._note(body, int(answer["revision"]), began_s)
        return answer

    def took(self, kind: str, began_s: float) -> None:
        """Count a request of a kind that was answered now."""
        seconds = time.perf_counter() - began_s
        self._latencies.by_kind[kind].record(seconds)
        self._counters.latency.record(seconds)

    def _note(self, body: Json | None, revision: int, began_s: float) -> None:
        assert body is not None
        self.took(WRITE, began_s)
        mutation_id = str(body["mutation_id"])
        noted = Acknowledged(revision, str(body["device"]), checksum_of(body["state"]))
        before = self.acknowledged.setdefault(mutation_id, noted)
        if before == noted:
            self._counters.counts["save writes"] += 1
        else:
            self.moved.append(f"{mutation_id}: revision {before.revision}, then {revision}")


def checksum_of(state: Json) -> str:
    """Give the checksum of a state without fractions: that of its canonical JSON."""
    written = orjson.dumps(state, option=orjson.OPT_SORT_KEYS)
    return f"sha256:{sha256(written).hexdigest()}"
