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


class QuestStatus(StrEnum):
    """How far a slot is with a quest."""

    LOCKED = "locked"
    AVAILABLE = "available"
    ACTIVE = "active"
    COMPLETED = "completed"
    CLAIMED = "claimed"
    FAILED = "failed"
    EXPIRED = "expired"


class QuestInput(Enum):
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


TRANSITIONS: Final[Mapping[QuestStatus, Mapping[QuestInput, QuestStatus]]] = {
    QuestStatus.LOCKED: {
        QuestInput.UNLOCK: QuestStatus.AVAILABLE,
        QuestInput.EXPIRE: QuestStatus.EXPIRED,
    },
    QuestStatus.AVAILABLE: {
        QuestInput.ACCEPT: QuestStatus.ACTIVE,
        QuestInput.LOCK: QuestStatus.LOCKED,
        QuestInput.EXPIRE: QuestStatus.EXPIRED,
    },
    QuestStatus.ACTIVE: {
        QuestInput.ABANDON: QuestStatus.AVAILABLE,
        QuestInput.COMPLETE: QuestStatus.COMPLETED,
        QuestInput.FAIL: QuestStatus.FAILED,
        QuestInput.EXPIRE: QuestStatus.EXPIRED,
    },
    QuestStatus.COMPLETED: {QuestInput.CLAIM: QuestStatus.CLAIMED},
    QuestStatus.CLAIMED: {},
    QuestStatus.FAILED: {},
    QuestStatus.EXPIRED: {QuestInput.REOPEN: QuestStatus.LOCKED},
}


class NotPossible(Exception):
    """The state does not list the input."""


class QuestCircumstances(NamedTuple):
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


def transition(status: QuestStatus, by: QuestInput) -> QuestStatus:
    """Give the state that an input leads to; raise `NotPossible`."""
    try:
        return TRANSITIONS[status][by]
    except KeyError:
        raise NotPossible(f"{by.name} does nothing to a quest that is {status}") from None


def find_next_input(status: QuestStatus, now: QuestCircumstances) -> QuestInput | None:
    """Say what the server does next with a quest by itself; None where it rests."""
    match status:
        case QuestStatus.LOCKED if now.is_open and now.is_met:
            return QuestInput.UNLOCK
        case QuestStatus.LOCKED if not now.is_open and not now.opens_again:
            return QuestInput.EXPIRE
        case QuestStatus.AVAILABLE if not now.is_open:
            return QuestInput.EXPIRE
        case QuestStatus.AVAILABLE if not now.is_met:
            return QuestInput.LOCK
        case QuestStatus.ACTIVE if not now.is_open or now.was_closed:
            return QuestInput.EXPIRE
        case QuestStatus.ACTIVE if now.has_failed:
            return QuestInput.FAIL
        case QuestStatus.EXPIRED if now.is_open or now.opens_again:
            return QuestInput.REOPEN
    return None


def list_automatic_states(status: QuestStatus, now: QuestCircumstances) -> list[QuestStatus]:
    """List the states that a quest goes through by itself, the present one first."""
    path = [status]
    while (by := find_next_input(path[-1], now)) is not None:
        path.append(transition(path[-1], by))
    return path
