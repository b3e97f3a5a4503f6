"""Checks of a log that need no rules: its order, its hash chain, its seed.

Each check gives the sentence that holds, or raises `Broken` or `NotChecked`.
"""

from collections.abc import Sequence

from persistence.chain import genesis, link
from server.audit.evidence import Evidence, first_event, seed_of
from server.audit.findings import Broken, NotChecked
from server.domains.games.scribe import Told
from server.gamekit.table import seed_hash


def check_order(evidence: Evidence) -> str:
    """Indexes are 0, 1, 2, … up to the head, each once."""
    if not evidence.rows:
        raise Broken("the log is empty")
    for index, row in enumerate(evidence.rows):
        if row.event_index > index:
            raise Broken(f"event {index} is missing")
        if row.event_index < index:
            raise Broken(f"event {row.event_index} comes again after event {index - 1}")
    count = len(evidence.rows)
    if evidence.game is not None and evidence.game.next_event_index != count:
        written = evidence.game.next_event_index
        raise Broken(f"{written} events were written, {count} are there")
    return f"events 0 to {count - 1}, without a gap"


def check_end(evidence: Evidence, *, partial: bool) -> str:
    """A log that stands alone ends with its game; events cut off at the end leave no gap."""
    if not evidence.rows:
        raise NotChecked("the log is empty")
    last = evidence.rows[-1].event_index
    if evidence.is_over:
        return f"the game is over with event {last}, the last in the file"
    incomplete = f"incomplete: the game was still running at event {last}"
    if partial:
        raise NotChecked(f"{incomplete}; later events may be missing")
    raise Broken(f"{incomplete}; --partial takes a file that was written meanwhile")


def check_chain(evidence: Evidence, log: Sequence[Told]) -> str:
    """Every hash follows from the one before, the index, the type and the payload."""
    previous = genesis(evidence.game_id)
    for row, told in zip(evidence.rows, log, strict=True):
        if row.hash != link(previous, row.event_index, row.type, told.payload):
            raise Broken(f"event {row.event_index} breaks the hash chain")
        previous = row.hash
    return f"every hash follows from the one before; the last is {previous.hex()}"


def check_seed(evidence: Evidence, log: Sequence[Told]) -> str:
    """The first event commits to the seed that the last one reveals."""
    committed = first_event(log).payload["seed_hash"]
    seed = seed_of(evidence, log)
    if seed_hash(seed) != committed:
        raise Broken("event 0 does not commit to this game's seed")
    if not evidence.is_over:
        return "event 0 commits to the seed, which is still secret"
    last = log[-1]
    if last.event.payload.get("session_seed") != seed:
        raise Broken(f"event {last.event_index} reveals another seed than the game was dealt with")
    return f"event 0 commits to the seed that event {last.event_index} reveals"
