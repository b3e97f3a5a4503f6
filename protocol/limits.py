"""Every bound that a client can run into, in one place (units are in the names)."""

from typing import Final

SUBPROTOCOL: Final = "playhall.v1"

FRAME_BYTES_MAX: Final = 64 * 1024
FRAGMENTS_MAX: Final = 32
JSON_DEPTH_MAX: Final = 32
BODY_DEPTH_MAX: Final = 100  # of an HTTP body; JSON Schemas are nested deeper than commands
HELLO_TIMEOUT_S: Final = 5.0
HEARTBEAT_MS: Final = 15_000

NAME_CHARS_MAX: Final = 64
TEXT_CHARS_MAX: Final = 500
PASSWORD_CHARS_MAX: Final = 128
# As sent: accents and the parts of syllables may come apart, up to four characters for one.
PASSWORD_CHARS_TYPED_MAX: Final = 4 * PASSWORD_CHARS_MAX
PASSWORD_CHARS_MIN: Final = 8  # of an account; a lobby may have any
TOKEN_CHARS_MAX: Final = 4096
CURSOR_CHARS_MAX: Final = 200
CONFIG_BYTES_MAX: Final = 4 * 1024
PAYLOAD_BYTES_MAX: Final = 32 * 1024  # of one event, a move among its contents
INPUT_BYTES_MAX: Final = 1024  # of a player's input in a real-time game
EPHEMERAL_BYTES_MAX: Final = 1024  # of what players show each other without its being logged
PAGE_ITEMS_MAX: Final = 100
EVENTS_PAGE_MAX: Final = 1000
VIEWS_PAGE_MAX: Final = 100
CHUNK_BYTES_MAX: Final = 64 * 1024
FILE_BYTES_MAX: Final = 1024 * 1024 * 1024  # whatever its bucket allows

SEATS_MAX: Final = 64
INT_MAX: Final = 2**53 - 1  # what every JSON reader holds exactly (RFC 8259, section 6)
EVENT_INDEX_MAX: Final = 2**31 - 1  # an `int` column
CMD_NO_MAX: Final = EVENT_INDEX_MAX  # each command that is carried out has an event
