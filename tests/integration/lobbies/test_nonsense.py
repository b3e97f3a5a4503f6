"""Frames that are no commands: forgiven now and then, not if there is nothing else."""

from tests.integration.lobbies.hall import Hall


async def test_nonsense_now_and_then_ends_no_connection(hall: Hall) -> None:
    ann, now_s = await hall.person(), 0.0
    hall.sessions.now = lambda: now_s
    for _ in range(100):
        now_s += 3.0
        ann.session.on_message(b"nonsense")
    assert not ann.memory.closing


async def test_nothing_but_nonsense_does(hall: Hall) -> None:
    ann = await hall.person()
    hall.sessions.now = lambda: 0.0
    for _ in range(19):
        ann.session.on_message(b"nonsense")
    assert not ann.memory.closing
    ann.session.on_message(b"nonsense")
    assert ann.memory.closing
