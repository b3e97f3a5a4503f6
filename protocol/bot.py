"""Bots on the wire: identities that compete, who owns them, and the tokens they sign in with.

An identity is a token of an ERC-721 contract. It is found by its slug or by its id.
"""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints
from pydantic_core import PydanticCustomError

from protocol.envelope import WireModel
from protocol.ids import UUID_PATTERN, BotId, WirePlayerId
from protocol.limits import CURSOR_CHARS_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX
from protocol.lobbyfields import Cursor, shaped
from protocol.names import NOT_RESERVED
from protocol.record import Limit
from protocol.text import ONE_LINE, TEXT
from protocol.wallet import Address

SLUG_CHARS_MAX: Final = 48
URI_CHARS_MAX: Final = 500
CHAIN_ID_MAX: Final = 2**31 - 1
TOKEN_NUMBER_MAX: Final = 2**256 - 1

Status = Literal["active", "suspended", "retired"]
Scope = Literal["claim", "vote", "read"]


def _is_a_token_number(digits: str) -> str:
    if int(digits) > TOKEN_NUMBER_MAX:
        raise PydanticCustomError("token_number", "An ERC-721 token's number has 256 bits at most")
    return digits


def _is_no_id(slug: str) -> str:
    if len(slug) == 36 and [slug.find("-", at) for at in (0, 9, 14, 19)] == [8, 13, 18, 23]:
        raise PydanticCustomError("slug_like_id", "Choose a slug that does not look like an id")
    return slug


Slug = Annotated[
    str,
    StringConstraints(max_length=SLUG_CHARS_MAX),
    shaped(
        r"[a-z0-9][a-z0-9_-]{2,47}",
        "Use 3 to 48 of a to z, digits, underscores and dashes, a letter or digit first",
    ),
]
# From RFC 3986, what an https or ipfs URI is written with; nobody's password is in one.
Uri = Annotated[
    str,
    StringConstraints(max_length=URI_CHARS_MAX),
    shaped(
        r"(?:ipfs://[A-Za-z0-9]|https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?=[/?#]|$))"
        r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*",
        "Send an ipfs:// or https:// address",
    ),
]
TokenNumber = Annotated[
    str,
    StringConstraints(max_length=78),
    shaped(r"0|[1-9][0-9]*", "Send the token's number as text of decimal digits"),
    AfterValidator(_is_a_token_number),
]
WireBotId = Annotated[BotId, StringConstraints(pattern=UUID_PATTERN)]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_CHARS_MAX),
    TEXT,
]


class BotPath(WireModel):
    """The bot in an address: its slug or its id."""

    bot: Annotated[str, StringConstraints(min_length=1, max_length=SLUG_CHARS_MAX), ONE_LINE]


class NewBot(WireModel):
    """A bot to register: the ERC-721 token that it is, and how it is called."""

    slug: Annotated[Slug, AfterValidator(_is_no_id), NOT_RESERVED]
    chain_id: Annotated[int, Field(ge=1, le=CHAIN_ID_MAX)]
    contract_address: Address
    token_id: TokenNumber
    metadata_uri: Uri | None = None


class Bot(WireModel):
    """A bot that competes."""

    bot_id: WireBotId
    player_id: WirePlayerId = Field(description="Who it is among players.")
    slug: str
    chain_id: int
    contract_address: str
    token_id: str = Field(description="Decimal digits: a number of up to 256 bits.")
    metadata_uri: str | None
    active_avatar_id: str | None
    status: Status
    created_at: str


class BotsQuery(WireModel):
    """Which bots: `text` is a part of their slugs."""

    text: Annotated[str, StringConstraints(max_length=SLUG_CHARS_MAX), ONE_LINE] = ""
    cursor: Cursor | None = None
    limit: Limit = 20


class Bots(WireModel):
    """One page of bots, by slug."""

    bots: list[Bot]
    next: Annotated[str, StringConstraints(max_length=CURSOR_CHARS_MAX)] | None


# ------------------------------------------------------------------ tokens


class NewBotToken(WireModel):
    """A token to make: what for, what it may do, until when."""

    label: Annotated[str, StringConstraints(max_length=NAME_CHARS_MAX), ONE_LINE] = ""
    scopes: Annotated[set[Scope], Field(min_length=1, max_length=3, strict=False)]
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = Field(
        default=None, description="Without it, until it is revoked or the bot has a new owner."
    )


class BotTokenPath(BotPath):
    """The bot and the token in an address."""

    token_id: Annotated[str, StringConstraints(pattern=UUID_PATTERN)]


class BotToken(WireModel):
    """A token without the secret, which is not kept."""

    token_id: str
    label: str
    scopes: list[Scope]
    created_by_address: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class MadeBotToken(BotToken):
    """A token as it is shown once."""

    token: str = Field(description="Keep it: it is not shown again.")


class BotTokens(WireModel):
    """The tokens that are yours, newest first."""

    tokens: list[BotToken]


# ------------------------------------------------------------------ looking after bots


class OwnerRequest(WireModel):
    """Say who owns a bot from now on."""

    address: Address
    reason: Reason


class BotOwner(WireModel):
    """Who owned a bot when; `effective_to` is null while it lasts."""

    address: str
    source: Literal["onchain", "admin_correction"]
    effective_from: str
    effective_to: str | None


class BotOwners(WireModel):
    """A bot's owners, the present one first."""

    owners: list[BotOwner]


class StatusRequest(WireModel):
    """Suspend or retire a bot, or make it active again."""

    status: Status
    reason: Reason
