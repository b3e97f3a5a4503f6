"""Bots on the wire: identities, owners, tokens, avatars, wallets, and their errors.

An identity is a token of an ERC-721 contract. It is found by its slug or by its id.
"""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints
from pydantic_core import PydanticCustomError

from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.history import Cursor, Limit
from protocol.ids import UUID_PATTERN, BotId, WirePlayerId
from protocol.limits import CURSOR_CHARS_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX
from protocol.lobbies import URI_CHARACTERS, WEB_SERVER, pattern_with_message
from protocol.reserved_names import NOT_RESERVED
from protocol.text import ONE_LINE, TEXT

ADDRESS_CHARS: Final = 42
MESSAGE_CHARS_MAX: Final = 4000

# However it is written (EIP-55 gives capitals a meaning), an address is lowercase inside.
Address = Annotated[
    str,
    StringConstraints(max_length=ADDRESS_CHARS),
    pattern_with_message(r"0x[0-9a-fA-F]{40}", "Write an address as 0x and 40 hexadecimal digits"),
    AfterValidator(str.lower),
]


class WalletNonce(WireModel):
    """A nonce for the message that a wallet signs; valid once, for you, until it expires."""

    nonce: str
    expires_at: str
    domains: list[str] = Field(description="Domains that the message may name.")


class WalletProof(WireModel):
    """An EIP-4361 message (Sign-In with Ethereum) and its signature by the wallet."""

    message: Annotated[str, StringConstraints(min_length=1, max_length=MESSAGE_CHARS_MAX)]
    signature: Annotated[
        str,
        StringConstraints(max_length=132),
        pattern_with_message(
            r"0x[0-9a-fA-F]{130}", "Send a signature as 0x and 130 hexadecimal digits"
        ),
    ]


class WalletPath(WireModel):
    """The wallet in an address."""

    address: Address


class Wallet(WireModel):
    """An address that is linked to your account; in lowercase."""

    address: str
    linked_at: str


class Wallets(WireModel):
    """Your wallets, in the order in which they were linked."""

    wallets: list[Wallet]


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
    pattern_with_message(
        r"[a-z0-9][a-z0-9_-]{2,47}",
        "Use 3 to 48 of a to z, digits, underscores and dashes, a letter or digit first",
    ),
]
Uri = Annotated[
    str,
    StringConstraints(max_length=URI_CHARS_MAX),
    pattern_with_message(
        rf"(?:ipfs://[A-Za-z0-9]|{WEB_SERVER}){URI_CHARACTERS}",
        "Send an ipfs:// or https:// address",
    ),
]
TokenNumber = Annotated[
    str,
    StringConstraints(max_length=78),
    pattern_with_message(r"0|[1-9][0-9]*", "Send the token's number as text of decimal digits"),
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
    """A bot to register: its ERC-721 token and its slug."""

    slug: Annotated[Slug, AfterValidator(_is_no_id), NOT_RESERVED]
    chain_id: Annotated[int, Field(ge=1, le=CHAIN_ID_MAX)]
    contract_address: Address
    token_id: TokenNumber
    metadata_uri: Uri | None = None


class Bot(WireModel):
    """A bot that competes."""

    bot_id: WireBotId
    player_id: WirePlayerId = Field(description="Its player id.")
    slug: str
    chain_id: int
    contract_address: str
    token_id: str = Field(description="Decimal digits: a number of up to 256 bits.")
    metadata_uri: str | None
    active_avatar_id: str | None
    status: Status
    created_at: str


class BotsQuery(WireModel):
    """A search for bots; `text` is part of the slug."""

    text: Annotated[str, StringConstraints(max_length=SLUG_CHARS_MAX), ONE_LINE] = ""
    cursor: Cursor | None = None
    limit: Limit = 20


class Bots(WireModel):
    """One page of bots, by slug."""

    bots: list[Bot]
    next: Annotated[str, StringConstraints(max_length=CURSOR_CHARS_MAX)] | None


# ------------------------------------------------------------------ tokens


class NewBotToken(WireModel):
    """A token to create: its label, scopes and expiry."""

    label: Annotated[str, StringConstraints(max_length=NAME_CHARS_MAX), ONE_LINE] = ""
    scopes: Annotated[set[Scope], Field(min_length=1, max_length=3, strict=False)]
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = Field(
        default=None,
        description="Without it, the token is valid until revoked or the bot changes owners.",
    )


class BotTokenPath(BotPath):
    """The bot and the token in an address."""

    token_id: Annotated[str, StringConstraints(pattern=UUID_PATTERN)]


class BotToken(WireModel):
    """A token without its secret, which is not stored."""

    token_id: str
    label: str
    scopes: list[Scope]
    created_by_address: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class MadeBotToken(BotToken):
    """A new token, with the secret that is shown only once."""

    token: str = Field(description="Store it: it is not shown again.")


class BotTokens(WireModel):
    """Your tokens, newest first."""

    tokens: list[BotToken]


# ------------------------------------------------------------------ looking after bots


class OwnerRequest(WireModel):
    """Set the owner of a bot from now on."""

    address: Address
    reason: Reason


class BotOwner(WireModel):
    """A period of ownership; `effective_to` is null for the current owner."""

    address: str
    source: Literal["onchain", "admin_correction"]
    effective_from: str
    effective_to: str | None


class BotOwners(WireModel):
    """A bot's owners, the current one first."""

    owners: list[BotOwner]


class StatusRequest(WireModel):
    """Suspend, retire or reactivate a bot."""

    status: Status
    reason: Reason


# ------------------------------------------------------------------ bots


class BotNotFound(PlayhallError):
    """There is no bot with this slug or id; /v1/bots lists them."""

    code, status = "bot_not_found", 404


class BotTaken(PlayhallError):
    """This slug is taken by another bot; choose another."""

    code, status = "bot_taken", 409


class BotNotActive(PlayhallError):
    """The bot is suspended or retired; a moderator can make it active again."""

    code, status = "bot_not_active", 409


class TooManyBots(PlayhallError):
    """You have registered the maximum number of bots."""

    code, status = "too_many_bots", 409


class NotTheOwner(PlayhallError):
    """Only the bot's current owner can do this; link the wallet that owns it first."""

    code, status = "not_the_owner", 403


class BotTokenNotFound(PlayhallError):
    """This bot has no such token, or you may not see it."""

    code, status = "bot_token_not_found", 404


class TooManyBotTokens(PlayhallError):
    """The bot has the maximum number of tokens; revoke one first."""

    code, status = "too_many_bot_tokens", 409


# ------------------------------------------------------------------ wallets


class WalletRequired(PlayhallError):
    """Link a wallet first: sign a message with it and send both to /v1/me/wallets."""

    code, status = "wallet_required", 403


class BadWalletProof(PlayhallError):
    """The signed message does not prove that the wallet is yours; sign a new message."""

    code, status = "bad_wallet_proof", 403


class BadNonce(PlayhallError):
    """This nonce is not yours, expired, or already used; get one from /v1/wallets/nonce."""

    code, status = "bad_nonce", 403


class WalletTaken(PlayhallError):
    """This address is linked to another account; unlink it there first."""

    code, status = "wallet_taken", 409


class WalletNotFound(PlayhallError):
    """This address is not linked to your account; GET /v1/me/wallets lists your wallets."""

    code, status = "wallet_not_found", 404


class TooManyWallets(PlayhallError):
    """Your account has the maximum number of wallets; unlink one first."""

    code, status = "too_many_wallets", 409


# ------------------------------------------------------------------ avatars


class AvatarNotFound(PlayhallError):
    """This bot has no such avatar, or you may not see it."""

    code, status = "avatar_not_found", 404


class AvatarNotApproved(PlayhallError):
    """This avatar has not been approved by a moderator; choose another, or wait."""

    code, status = "avatar_not_approved", 409


class TooManyAvatars(PlayhallError):
    """The bot has the maximum number of avatars."""

    code, status = "too_many_avatars", 409


PROMPT_CHARS_MAX: Final = 2000

Provider = Literal["meshy", "manual", "import"]
Moderation = Literal["pending", "approved", "rejected"]
WireAvatarId = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]


class NewAvatar(WireModel):
    """An avatar to add: where its files are, and how it was made."""

    source_provider: Provider
    glb_uri: Uri
    preview_image_uri: Uri | None = None
    manifest_uri: Uri | None = None
    prompt: (
        Annotated[str, StringConstraints(min_length=1, max_length=PROMPT_CHARS_MAX), TEXT] | None
    ) = None


class Avatar(WireModel):
    """An avatar of a bot, numbered by generation from 1."""

    avatar_id: WireAvatarId
    bot_id: WireBotId
    generation_index: int
    source_provider: Provider
    prompt: str | None = Field(description="Visible only to the bot's owner and to moderators.")
    glb_uri: str
    preview_image_uri: str | None
    manifest_uri: str | None
    moderation_status: Moderation
    created_at: str


class Avatars(WireModel):
    """Avatars of a bot, the newest generation first."""

    avatars: list[Avatar]


class AvatarChoice(WireModel):
    """The avatar that the bot shows from now on."""

    avatar_id: WireAvatarId


class AvatarPath(WireModel):
    """The avatar in an address."""

    avatar_id: WireAvatarId


class ModerationRequest(WireModel):
    """A moderation decision and its reason."""

    moderation_status: Moderation
    reason: Reason


class AvatarReviewQuery(WireModel):
    """Which avatars to list."""

    moderation_status: Moderation = "pending"
    limit: Limit = 20


# ------------------------------------------------------------------ what a bot had come to


class SnapshotsQuery(WireModel):
    """Which page of a bot's snapshots."""

    cursor: Cursor | None = None
    limit: Limit = 20


class StatsSnapshot(WireModel):
    """A bot's statistics after a day: where they are stored, and their SHA-256."""

    epoch_id: str | None
    snapshot_uri: str
    snapshot_hash: str | None = Field(description="SHA-256, hexadecimal.")
    created_at: str


class StatsSnapshots(WireModel):
    """One page of a bot's snapshots, newest first."""

    snapshots: list[StatsSnapshot]
    next: str | None
