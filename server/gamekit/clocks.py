"""Clocks for games in which thinking costs time: one control for all, one clock a seat.

A `GameClock` is part of a ruleset's state. `evolve` starts and stops it with the times of
events, so every node that folds the log has the same clocks; `next_timer` gives the moment at
which the running clock reaches zero (`flag_at_ms`).

    per_move    each move has `main_s`, and what is left of it is lost
    fischer     `main_s` for the game; each move adds `increment_s`
    bronstein   `main_s` for the game; each move gives back what it took, up to `increment_s`
    byo_yomi    `main_s`, then `periods` of `increment_s`: a move within a period keeps it, one
                that takes longer uses up each period that it passed

All times within are whole milliseconds.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from server.gamekit.contract import Payload


class TimeControl(BaseModel):
    """How much time players have; a field of a ruleset's configuration. Times in seconds."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    kind: Literal["per_move", "fischer", "bronstein", "byo_yomi"] = "fischer"
    main_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    increment_s: Annotated[float, Field(ge=0, le=3600)] = 3.0
    periods: Annotated[int, Field(ge=0, le=100)] = 0

    @model_validator(mode="after")
    def _check(self) -> "TimeControl":
        if self.kind == "byo_yomi":
            if self.periods < 1 or self.increment_s <= 0:
                raise ValueError(
                    "byo_yomi needs periods of at least 1, each of increment_s above 0"
                )
        elif self.periods:
            raise ValueError("only byo_yomi has periods; leave it out")
        elif self.main_s < 1:
            raise ValueError("main_s must be at least 1 second, except for byo_yomi")
        return self


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


@dataclass(slots=True)
class SeatClock:
    """What one seat has left."""

    main_ms: int
    periods: int


@dataclass(slots=True)
class GameClock:
    """The clocks of a game's seats, of which one runs at most.

    `running` is the seat whose clock runs, `since_ms` when it was started.
    """

    control: TimeControl
    seats: list[SeatClock] = field(default_factory=list)
    running: int | None = None
    since_ms: int = 0

    @classmethod
    def of_seats(cls, control: TimeControl, seats: int) -> "GameClock":
        """Make full clocks, none of which runs."""
        full = _milliseconds(control.main_s)
        return cls(control, [SeatClock(full, control.periods) for _ in range(seats)])

    def start(self, seat: int, at_ms: int) -> None:
        """Start a seat's clock; the one that ran is stopped as after a move."""
        self.stop(at_ms)
        self.running, self.since_ms = seat, at_ms

    def stop(self, at_ms: int) -> None:
        """Stop the clock that runs, whose seat has moved; harmless where none runs."""
        if self.running is None:
            return
        clock, took_ms = self.seats[self.running], max(0, at_ms - self.since_ms)
        increment_ms = _milliseconds(self.control.increment_s)
        match self.control.kind:
            case "per_move":
                pass  # the next move has the whole of it again
            case "fischer":
                clock.main_ms = max(0, clock.main_ms - took_ms) + increment_ms
            case "bronstein":
                clock.main_ms = max(0, clock.main_ms - max(0, took_ms - increment_ms))
            case "byo_yomi":
                beyond_ms = took_ms - clock.main_ms
                clock.main_ms = max(0, clock.main_ms - took_ms)
                if beyond_ms > 0:
                    clock.periods = max(0, clock.periods - beyond_ms // increment_ms)
        self.running = None

    @property
    def flag_at_ms(self) -> int | None:
        """When the running clock reaches zero; None where none runs."""
        if self.running is None:
            return None
        clock = self.seats[self.running]
        allowed_ms = clock.main_ms
        match self.control.kind:
            case "bronstein":
                # Its seat gets back what this move took, so the flag falls that much later.
                allowed_ms += _milliseconds(self.control.increment_s)
            case "byo_yomi":
                allowed_ms += clock.periods * _milliseconds(self.control.increment_s)
        return self.since_ms + allowed_ms

    def view(self) -> Payload:
        """Show the clocks: what each seat had when its clock was started or stopped last."""
        return {
            "running": self.running,
            "since_ms": self.since_ms if self.running is not None else None,
            "flag_at_ms": self.flag_at_ms,
            "seats": [{"main_ms": each.main_ms, "periods": each.periods} for each in self.seats],
        }
