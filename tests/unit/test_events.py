"""Local events: in order, to all who listen, whoever fails."""

from protocol.ids import GameId, LobbyId, PlayerId
from server.core.containment import FAILURES
from server.core.events import LocalEvents, MemberKicked

KICK = MemberKicked(LobbyId("l"), GameId("g"), PlayerId("p"))


class Other:
    """Something else."""


def test_handlers_are_called_in_order_with_the_event() -> None:
    events, told = LocalEvents(), []
    events.listen({MemberKicked: lambda event: told.append(("first", event))})
    events.listen({MemberKicked: lambda event: told.append(("second", event))})
    events.publish(KICK)
    assert told == [("first", KICK), ("second", KICK)]


def test_handler_that_raises_is_counted_and_keeps_nobody_else_from_the_event() -> None:
    events, told = LocalEvents(), []

    def fail(_: MemberKicked) -> None:
        raise RuntimeError("a bug")

    events.listen({MemberKicked: fail})
    events.listen({MemberKicked: told.append})
    failures = FAILURES.total
    events.publish(KICK)
    assert told == [KICK]
    assert FAILURES.total == failures + 1


def test_event_that_nobody_listens_to_is_fine() -> None:
    events, told = LocalEvents(), []
    events.listen({MemberKicked: told.append})
    events.publish(Other())
    assert told == []


def test_listener_that_is_added_meanwhile_hears_the_next_event() -> None:
    events, told = LocalEvents(), []
    events.listen({MemberKicked: lambda _: events.listen({MemberKicked: told.append})})
    events.publish(KICK)
    assert told == []
    events.publish(KICK)
    assert told == [KICK]
