"""A ruleset that takes all time or all memory in the method that a move names.

Never served but by tests, from a scratch folder.
"""

from typing import Any, ClassVar

from server.gamekit.chance import Chance
from server.gamekit.contract import Event, Outcome, Payload, Ruleset, RulesetConfig, Setup, Turn


def take_all(how: str) -> None:
    """Do not return: loop, or allocate until there is no more."""
    taken: list[bytearray] = []
    while True:
        try:
            if how == "time":
                sum(range(1000))
            else:
                taken.append(bytearray(16 * 2**20))
        except ArithmeticError:  # what rules may well catch
            continue


def greedy(view: Payload, _: Chance) -> Payload:
    """Be greedy, as a bot."""
    take_all(view["bot"])
    return {}


class Config(RulesetConfig):
    """`bot` is what its bot takes, `first` what the server does when the game begins."""

    bot: str = ""
    first: str = ""


class Greedy(Ruleset[Any, Payload]):
    """Takes `{"in": method, "what": "time" or "memory"}`."""

    name, title, config = "greedy", "Greedy", Config
    seats: ClassVar[range] = range(1, 3)
    bots: ClassVar[dict[str, Any]] = {"greedy": greedy}

    def initial(self, setup: Setup) -> Any:
        """Begin."""
        assert isinstance(setup.config, Config)
        state = {"in": "", "what": "", "moves": 0, "config": setup.config}
        if setup.config.first:
            take_all(setup.config.first)
        return state

    def setup(self, state: Any) -> list[Event]:
        """Give no event."""
        return []

    def parse(self, raw: Payload) -> Payload:
        """Take anything."""
        self._fail("parse", raw)
        return raw

    def decide(self, state: Any, seat: int, move: Payload) -> list[Event]:
        """Log what was moved."""
        self._fail("decide", move)
        return [Event("moved", {**move, "_v": 1})]

    def evolve(self, state: Any, event: Event) -> None:
        """Fold a move."""
        if event.type == "moved":
            state.update({"in": event.payload["in"], "what": event.payload["what"]})
            state["moves"] += 1
            self._fail("evolve", state)

    def redact(self, event: Event, viewer: int | None) -> Payload | None:
        """Hide nothing."""
        if event.type == "moved" and viewer != 0:
            self._fail("redact", event.payload)
        return event.payload

    def view(self, state: Any, viewer: int | None) -> Payload:
        """Show how many moves there were."""
        self._fail("view", state)
        return {"moves": state["moves"], "bot": state["config"].bot, "legal_moves": None}

    def to_act(self, state: Any) -> Turn | None:
        """Let the bot in seat 1 act, if there is one."""
        self._fail("to_act", state)
        return Turn((1,), state["moves"], None) if state["config"].bot else None

    def timeout_move(self, state: Any, seat: int) -> Payload:
        """Move."""
        return {"in": "", "what": ""}

    def outcome(self, state: Any) -> Outcome | None:
        """Never end."""
        self._fail("outcome", state)
        return None

    def _fail(self, method: str, asked: Payload) -> None:
        if asked.get("in") == method:
            take_all(asked["what"])


RULESET = Greedy()
