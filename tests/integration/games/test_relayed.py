"""What comes out of a relay is what went in, to the value of every number that fits 64 bits."""

import orjson
import pytest

from protocol.codec import decode
from protocol.games import Act
from tests.integration.games.conftest import Recorder, Room, act


@pytest.mark.parametrize(
    ("sent", "relayed"),
    [
        (b"-9223372036854775808", b"-9223372036854775808"),
        (b"18446744073709551615", b"18446744073709551615"),
        (b"18446744073709551616", b"1.8446744073709552e+19"),
        (b"-9223372036854775809", b"-9.223372036854776e+18"),
        (b"0.1", b"0.1"),
        (b"1.50", b"1.5"),
        (b"0.12345678901234567890", b"0.12345678901234568"),
        (b"-0.0", b"0.0"),
        (b"-0", b"0"),
        (b"1e16", b"10000000000000000"),
        (b"1e300", b"1e+300"),
        (b'"18446744073709551616"', b'"18446744073709551616"'),
    ],
)
async def test_number_is_relayed_by_its_value_in_64_bits(
    room: Room, sent: bytes, relayed: bytes
) -> None:
    game = await room.game("relay", [None])
    live = Recorder()
    game.subscribers.admit(live, None)
    frame = b'{"id":1,"type":"game.act","game_id":"%b","cmd_no":1,"move":{"n":%b}}'
    command = decode(frame % (game.game_id.encode(), sent))
    assert isinstance(command, Act)
    await act(game, 0, command.cmd_no, command.move)
    (row,) = [row for row in await room.store.read_log(game.game_id) if row.type == "relayed"]
    assert orjson.dumps(orjson.loads(row.payload)["data"]["n"]) == relayed
    (event,) = [event for event in live.events if event["event"] == "relayed"]
    assert orjson.dumps(event["payload"]["data"]["n"]) == relayed
