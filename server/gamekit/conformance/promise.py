"""A promise, the check that holds a ruleset to it, and the explanation of a failure."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from server.gamekit.checking import describe_failure
from server.gamekit.conformance.playout import BrokenPromise, Playout, RealtimePlayout
from server.gamekit.contract import Event, IllegalMove, Payload
from server.gamekit.fold import AnyRuleset

JSON_CHARS_MAX: Final = 300

_RAISES: Final = (
    "Make the method at that place return for every state that a game can reach. Only parse and "
    "decide may raise, and only IllegalMove."
)
_REFUSED: Final = (
    "Bots and timeout_move may only make moves that decide accepts in that state: take them from "
    "the legal_moves of the view."
)


class Trial:
    """One check of one ruleset, at a table of some seats. The seed determines all of it."""

    def __init__(self, ruleset: AnyRuleset, seats: int, seed: str) -> None:
        self.ruleset: Any = ruleset
        self.seats = seats
        self.seed = seed
        self.game: Playout | RealtimePlayout | None = None  # the one that is played now

    def playout(self, label: str, *, bots: tuple[str, ...] = ()) -> Playout:
        """Begin a game; `label` tells the games of one check apart."""
        self.game = playout = Playout(self.ruleset, self.seats, self.derived(label), bots=bots)
        return playout

    def realtime(self, label: str) -> RealtimePlayout:
        """Begin a game that is played in ticks."""
        self.game = playout = RealtimePlayout(self.ruleset, self.seats, self.derived(label))
        return playout.start()

    def derived(self, label: str) -> str:
        """Give the seed of the game with this label."""
        return f"{self.seed}/{label}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A promise that a ruleset does not keep: where it was seen, and what to change.

    `event_index` is that of the last event before it was seen; `move` the last one that was tried.
    """

    promise: "Promise"
    ruleset: AnyRuleset
    seats: int
    seed: str  # of the check
    game_seed: str | None
    event_index: int | None
    event_type: str | None
    seat: int | None
    move: Payload | None
    problem: str
    remedy: str
    log: tuple[Event, ...]
    is_earlier: bool = False  # whether these are the rules of an earlier version

    def explain(self, folder: Path | None = None) -> str:
        """Explain it in some lines: what was seen, where, what to change, how to see it again."""
        return "\n".join(self._lines(folder))

    def _lines(self, folder: Path | None) -> Iterator[str]:
        yield self.problem
        if self.game_seed is None:
            where = f"before a game began, with {_seats(self.seats)}"
        else:
            where = f"in the game with seed {self.game_seed!r} and {_seats(self.seats)}"
        if self.event_index is not None:
            where += f", after event {self.event_index} ({self.event_type})"
        yield f"  where:     {where}"
        if self.move is not None:
            yield f"  last move: {write_json(self.move)} of seat {self.seat}"
        yield f"  change:    {self.remedy}"
        name = self.ruleset.name if folder is None else str(folder)
        options = f"--only {self.promise.name} --seats {self.seats} --seed {self.seed}"
        options += f" --version {self.ruleset.version}" if self.is_earlier else ""
        yield f"  again:     playhall ruleset test {name} {options} --log"

    def write_log(self) -> Iterator[str]:
        """Write the events of the game up to the failure, a line each."""
        for index, event in enumerate(self.log):
            yield f"{index:>5}  {event.type}  {write_json(event.payload)}"


@dataclass(frozen=True, slots=True)
class Promise:
    """What a ruleset promises, in a sentence, and the check of it.

    `check` raises `BrokenPromise`. `exempt` gives the reason why a ruleset is not asked, or None.
    """

    name: str
    sentence: str
    check: Callable[[Trial], None]
    exempt: Callable[[AnyRuleset], str | None]

    def find_failure(self, ruleset: AnyRuleset, seats: int, seed: str) -> Failure | None:
        """Check a ruleset; None if it keeps the promise."""
        trial = Trial(ruleset, seats, seed)
        try:
            self.check(trial)
        except KeyboardInterrupt:  # somebody at the terminal
            raise
        except BrokenPromise as broken:
            return self._failure(trial, broken.problem, broken.remedy)
        except IllegalMove as refusal:
            said = f"A move that the server would make is refused: {refusal.code} ({refusal})."
            return self._failure(trial, said, _REFUSED)
        except BaseException as error:  # SystemExit and the like are no Exception
            said = f"The rules raise {describe_failure(error, _folder_of(ruleset))}."
            return self._failure(trial, said, _RAISES)
        return None

    def _failure(self, trial: Trial, problem: str, remedy: str) -> Failure:
        game = trial.game
        log = () if game is None else tuple(game.log)
        seat, move = (None, None) if game is None or game.tried is None else game.tried
        return Failure(
            promise=self,
            ruleset=trial.ruleset,
            seats=trial.seats,
            seed=trial.seed,
            game_seed=None if game is None else game.seed,
            event_index=len(log) - 1 if log else None,
            event_type=log[-1].type if log else None,
            seat=seat,
            move=move,
            problem=problem,
            remedy=remedy,
            log=log,
        )


def write_json(value: object) -> str:
    """Write a value as JSON, as far as it is JSON, and not without end."""
    try:
        text = orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        text = repr(value)
    return text if len(text) <= JSON_CHARS_MAX else f"{text[: JSON_CHARS_MAX - 1]}…"


def _seats(count: int) -> str:
    return "1 seat" if count == 1 else f"{count} seats"


def _folder_of(ruleset: AnyRuleset) -> Path:
    file = getattr(sys.modules.get(type(ruleset).__module__), "__file__", None)
    return Path(file).parent if file else Path()
