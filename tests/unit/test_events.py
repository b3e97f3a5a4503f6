"""Local events: in order, to all who listen, whoever fails."""

from collections.abc import Callable

from protocol.ids import GameId, LobbyId, PlayerId, UserId
from server.core.containment import FAILURES
from server.core.events import CHAIN_MAX, LocalEventBus, MemberKicked, UserBanned

KICK = MemberKicked(LobbyId("l"), GameId("g"), PlayerId("p"))
BAN = UserBanned(UserId("u"))


class Other:
    """Something else."""


def test_handlers_are_called_in_order_with_the_event() -> None:
    events, heard = LocalEventBus(), []
    events.add_listeners({MemberKicked: lambda event: heard.append(("first", event))})
    events.add_listeners({MemberKicked: lambda event: heard.append(("second", event))})
    events.publish(KICK)
    assert heard == [("first", KICK), ("second", KICK)]


def test_handler_that_raises_is_counted_and_keeps_nobody_else_from_the_event() -> None:
    events, heard = LocalEventBus(), []

    def fail(_: MemberKicked) -> None:
        raise RuntimeError("a bug")

    events.add_listeners({MemberKicked: fail})
    events.add_listeners({MemberKicked: heard.append})
    failures = FAILURES.total
    events.publish(KICK)
    assert heard == [KICK]
    assert FAILURES.total == failures + 1


def test_event_that_nobody_listens_to_is_fine() -> None:
    events, heard = LocalEventBus(), []
    events.add_listeners({MemberKicked: heard.append})
    events.publish(Other())
    assert heard == []


def test_listener_that_is_added_meanwhile_hears_the_next_event() -> None:
    events, heard = LocalEventBus(), []
    events.add_listeners(
        {MemberKicked: lambda _: events.add_listeners({MemberKicked: heard.append})}
    )
    events.publish(KICK)
    assert heard == []
    events.publish(KICK)
    assert heard == [KICK]


def test_all_get_an_event_before_what_one_of_them_publishes_because_of_it() -> None:
    events, heard = LocalEventBus(), []

    def publish_and_fail(_: MemberKicked) -> None:
        events.publish(BAN)
        raise RuntimeError("a bug")

    for listener in (publish_and_fail, heard.append):
        events.add_listeners({MemberKicked: listener, UserBanned: heard.append})
    events.publish(KICK)
    assert heard == [KICK, BAN, BAN]
    events.publish(BAN)
    assert heard[3:] == [BAN, BAN]


def test_listeners_that_cause_each_other_come_to_an_end() -> None:
    events, heard = LocalEventBus(), []

    def causing(event: object) -> Callable[[object], None]:
        return lambda heard_event: (heard.append(heard_event), events.publish(event))[0]

    events.add_listeners({MemberKicked: causing(BAN), UserBanned: causing(KICK)})
    failures = FAILURES.total
    events.publish(KICK)
    assert heard == [KICK, BAN] * (CHAIN_MAX // 2)
    assert FAILURES.total == failures + 1
