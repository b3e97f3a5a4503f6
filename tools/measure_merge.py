"""How long the merge of a state of 1 MiB takes, of processor time.

    python tools/measure_merge.py [REPEATS]

Two devices change a fifth of the flags and counters, a tenth of the items, and both lists of a
save; a rule decides each field. The second figure is the whole decision: the server's fields, the
merge, and the size of what it comes to. The hash tells whether two trees merge alike.
"""

import random
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

sys.path.insert(0, str(Path(__file__).parent.parent))
from server.domains.progression.saves import rules
from server.domains.progression.saves.states import State, written

FIELDS: Final = 6800
BYTES: Final = 1024 * 1024
RULES: Final = rules.merge_rules(
    {
        "/chapter": "max",
        "/flags/*": "newest",
        "/counters/*": "sum",
        "/lore": "union",
        "/inventory/*/quantity": "max",
        "/journal": "union",
        "/notes/*": "server",
    }
)


def make_state() -> State:
    """Make a state as a story game has it after a long time."""
    return {
        "chapter": 3,
        "flags": {f"flag_{at}": bool(at % 3) for at in range(FIELDS)},
        "counters": {f"counter_{at}": at for at in range(FIELDS)},
        "lore": [f"lore_{at}" for at in range(FIELDS)],
        "inventory": {
            f"item_{at}": {
                "quantity": at % 9,
                "metadata": {"found": f"chapter {at % 12}", "worn": at % 2 == 0},
            }
            for at in range(FIELDS)
        },
        "journal": [{"at": at, "text": f"Once upon a time {at}"} for at in range(FIELDS // 2)],
        "notes": {f"n{at}": "x" * 40 for at in range(FIELDS // 4)},
        "mods": {"m1": {"a": list(range(FIELDS // 10))}},
    }


def changed(before: bytes, device: int) -> bytes:
    """Play on, on a device."""
    draw, state = random.Random(device), orjson.loads(before)  # noqa: S311 - no secret
    for at in draw.sample(range(FIELDS), FIELDS // 5):
        state["flags"][f"flag_{at}"] = bool(device % 2)
    for at in draw.sample(range(FIELDS), FIELDS // 5):
        state["counters"][f"counter_{at}"] += 1
    for at in draw.sample(range(FIELDS), FIELDS // 10):
        state["inventory"][f"item_{at}"]["quantity"] += device
    state["lore"] += [f"new_{device}_{at}" for at in range(FIELDS // 20)]
    state["lore"] = [each for at, each in enumerate(state["lore"]) if at % 97 != device]
    state["journal"].append({"at": FIELDS, "text": f"by {device}"})
    return orjson.dumps(state)


def merge(base: State, ours: State, theirs: State) -> rules.Merged:
    """Merge alone."""
    return rules.merge(base, ours, theirs, RULES)


def decide(base: State, ours: State, theirs: State) -> rules.Decision:
    """Decide about a write of an older base."""
    state = rules.with_server_fields(base, theirs, RULES).state
    return rules.decide_write(
        last_revision=2,
        current=2,
        ours=rules.Content(ours),
        base=1,
        ancestor=1,
        ancestor_state=base,
        theirs=rules.Content(state),
        rules=RULES,
        is_acceptable=lambda merged: len(written(merged).json) <= 2 * BYTES,
    )


def cpu_ms(work: Callable[[State, State, State], Any], states: tuple[bytes, ...]) -> float:
    """Measure work on fresh copies of the states."""
    base, ours, theirs = map(orjson.loads, states)
    began_s = time.process_time()
    work(base, ours, theirs)
    return (time.process_time() - began_s) * 1000


def main() -> None:
    """Measure, and show the medians."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    base = orjson.dumps(make_state())
    states = (base, changed(base, 1), changed(base, 2))
    merged = merge(*map(orjson.loads, states))
    whole = orjson.dumps([merged.state, merged.paths], option=orjson.OPT_SORT_KEYS)
    figures = [median(cpu_ms(work, states) for _ in range(repeats)) for work in (merge, decide)]
    sys.stdout.write(
        f"{len(whole) / BYTES:.2f} MiB: merge {figures[0]:.1f} ms, decision {figures[1]:.1f} ms; "
        f"{sha256(whole).hexdigest()[:16]}\n"
    )


if __name__ == "__main__":
    main()
