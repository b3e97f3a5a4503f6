"""A real-time ruleset that takes all time or all memory in a tick, or in a view.

Never served but by tests, from a scratch folder.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from server.gamekit.contract import Event, Outcome, Payload, RulesetConfig, Setup
from server.gamekit.realtime import PlayerInput, RealtimeRuleset
from server.rulesets.greedy import take_all


class GreedyTicks(RealtimeRuleset[Any, Payload]):
    """Takes `{"in": "step" or "view", "what": "time" or "memory"}`."""

    name, title, config = "greedy_ticks", "Greedy ticks", RulesetConfig
    seats: ClassVar[range] = range(1, 3)
    tick_hz, patch_hz = 10, 10

    def initial(self, setup: Setup) -> Any:
        """Begin."""
        return {"in": "", "what": "", "tick": 0}

    def parse(self, raw: Payload) -> Payload:
        """Take anything."""
        return raw

    def step(self, state: Any, inputs: Sequence[PlayerInput]) -> None:
        """Let a tick pass."""
        state["tick"] += 1
        for _, move in inputs:
            state.update(move)
        if state["in"] == "step":
            take_all(state["what"])

    def evolve(self, state: Any, event: Event) -> None:
        """Fold nothing."""

    def view(self, state: Any, viewer: int | None) -> Payload:
        """Show the tick."""
        if state["in"] == "view":
            take_all(state["what"])
        return {"tick": state["tick"]}

    def outcome(self, state: Any) -> Outcome | None:
        """Never end."""
        return None


RULESET = GreedyTicks()
