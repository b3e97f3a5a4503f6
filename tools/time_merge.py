"""How much processor time a merge of two changed states of 1 MiB takes, in ms, a line for each.

    python tools/time_merge.py [TIMES]

The benchmark runs it on the server's core. It calls the rules that the server calls, without HTTP
and without a database.
"""

import random
import sys
import time
from copy import deepcopy
from typing import Any

from server.domains.progression.saves.rules import merge, merge_rules

SCENES = 6000
CHANGED = 200  # scenes that each side changes
RULES = merge_rules({"/scenes/*/visits": "sum", "/scenes/*/lore": "union"}, "newest")


def state() -> dict[str, Any]:
    """Make a state of about 1 MiB, as a long game has it."""
    scenes = {
        f"scene_{number:05d}": {
            "visits": number % 7,
            "lore": [f"lore_{number % 50}"],
            "choice": f"option_{number % 3}",
            "note": "x" * 98,
        }
        for number in range(SCENES)
    }
    return {"chapter": 9, "scenes": scenes}


def changed(before: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Change some scenes."""
    after = deepcopy(before)
    for name in chance.sample([*after["scenes"]], CHANGED):
        after["scenes"][name]["visits"] += 1
        after["scenes"][name]["lore"].append("lore_new")
    return after


def main(times: int) -> None:
    """Print what each merge took."""
    chance = random.Random(1)  # noqa: S311 - a measurement
    base = state()
    ours, theirs = changed(base, chance), changed(base, chance)
    for _ in range(times):
        began_s = time.process_time()
        merged = merge(base, ours, theirs, RULES)
        took_ms = (time.process_time() - began_s) * 1000
        visits = sum(scene["visits"] for scene in merged.state["scenes"].values())
        before = sum(scene["visits"] for scene in base["scenes"].values())
        assert visits == before + 2 * CHANGED, "a change was lost"
        print(took_ms)  # noqa: T201 - what it is for


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
