"""Where a quest goes: its states, and what moves it from one to another. Pure.

`TRANSITIONS` is the whole machine. An input that a state does not list raises `NotPossible`. The
database has the same table in a trigger (`quest_progress_moves`), so nothing else can store what
the machine does not allow. ::

               UNLOCK              ACCEPT            COMPLETE              CLAIM
    LOCKED ------------> AVAILABLE --------> ACTIVE ----------> COMPLETED --------> CLAIMED
      ^    <------------     |     <--------   |  |
      |        LOCK          |     ABANDON     |  | FAIL
      |                      |                 |  +----------> FAILED
      |      EXPIRE          | EXPIRE          |
      +-----------+          v                 |
      |           +----> EXPIRED <-------------+
      +----------------------+       EXPIRE
              REOPEN

    state       who may move it
    LOCKED      the server, once the condition holds and the event is open
    AVAILABLE   the player, who accepts it; the server, when that is over
    ACTIVE      the player; the server, when it fails or its event closes
    COMPLETED   the player, who claims the reward; it waits for them whatever closes
    CLAIMED     nobody
    FAILED      nobody
    EXPIRED     the server, when the event opens again
"""

from collections.abc import Mapping
from enum import Enum, StrEnum, auto
from typing import Final, NamedTuple


class Status(StrEnum):
    """How far a slot is with a quest."""

    LOCKED = "locked"
    AVAILABLE = "available"
    ACTIVE = "active"
    COMPLETED = "completed"
    CLAIMED = "claimed"
    FAILED = "failed"
    EXPIRED = "expired"


class Input(Enum):
    """What moves a quest."""

    UNLOCK = auto()
    LOCK = auto()
    ACCEPT = auto()
    COMPLETE = auto()
    ABANDON = auto()
    FAIL = auto()
    EXPIRE = auto()
    REOPEN = auto()
    CLAIM = auto()


TRANSITIONS: Final[Mapping[Status, Mapping[Input, Status]]] = {
    Status.LOCKED: {Input.UNLOCK: Status.AVAILABLE, Input.EXPIRE: Status.EXPIRED},
    Status.AVAILABLE: {
        Input.ACCEPT: Status.ACTIVE,
        Input.LOCK: Status.LOCKED,
        Input.EXPIRE: Status.EXPIRED,
    },
    Status.ACTIVE: {
        Input.ABANDON: Status.AVAILABLE,
        Input.COMPLETE: Status.COMPLETED,
        Input.FAIL: Status.FAILED,
        Input.EXPIRE: Status.EXPIRED,
    },
    Status.COMPLETED: {Input.CLAIM: Status.CLAIMED},
    Status.CLAIMED: {},
    Status.FAILED: {},
    Status.EXPIRED: {Input.REOPEN: Status.LOCKED},
}


class NotPossible(Exception):
    """The state does not list the input."""


class Circumstances(NamedTuple):
    """What decides about a quest beside its state.

    `is_open` is whether its event is; a quest without one is open. `opens_again` is whether the
    event has another opening. `was_closed` is whether it closed since anything was stored of the
    quest: what was begun in one opening does not go on in the next.
    """

    is_met: bool
    has_failed: bool = False
    is_open: bool = True
    opens_again: bool = True
    was_closed: bool = False


def moved(status: Status, by: Input) -> Status:
    """Give the state that an input leads to; raise `NotPossible`."""
    try:
        return TRANSITIONS[status][by]
    except KeyError:
        raise NotPossible(f"{by.name} does nothing to a quest that is {status}") from None


def next_input(status: Status, now: Circumstances) -> Input | None:
    """Say what the server does next with a quest by itself; None where it rests."""
    match status:
        case Status.LOCKED if now.is_open and now.is_met:
            return Input.UNLOCK
        case Status.LOCKED if not now.is_open and not now.opens_again:
            return Input.EXPIRE
        case Status.AVAILABLE if not now.is_open:
            return Input.EXPIRE
        case Status.AVAILABLE if not now.is_met:
            return Input.LOCK
        case Status.ACTIVE if not now.is_open or now.was_closed:
            return Input.EXPIRE
        case Status.ACTIVE if now.has_failed:
            return Input.FAIL
        case Status.EXPIRED if now.is_open or now.opens_again:
            return Input.REOPEN
    return None


def settled(status: Status, now: Circumstances) -> list[Status]:
    """List the states that a quest goes through by itself, the present one first."""
    path = [status]
    while (by := next_input(path[-1], now)) is not None:
        path.append(moved(path[-1], by))
    return path
