"""What the client knows by heart, because it does not depend on `protocol`, is what that says."""

from playhall import transport
from protocol.errors import CloseReason
from protocol.limits import CHUNK_BYTES_MAX
from protocol.limits import SUBPROTOCOL as SPOKEN


def test_subprotocol_is_the_protocols() -> None:
    assert transport.SUBPROTOCOL == SPOKEN


def test_every_frame_of_the_server_fits() -> None:
    assert transport.INCOMING_BYTES_MAX >= 2 * CHUNK_BYTES_MAX


def test_client_comes_back_after_the_codes_that_say_so() -> None:
    for reason in CloseReason:
        expected = reason.code < 4100 and reason is not CloseReason.SUPERSEDED
        assert transport.WebsocketClosed(reason.code, "").retry is expected, reason
    assert CloseReason.SUPERSEDED.code == transport.SUPERSEDED
