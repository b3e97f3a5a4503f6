"""The errors about bots and wallets. Flat children, as in `errors`."""

from protocol.errors import PlayhallError

# ------------------------------------------------------------------ bots


class BotNotFound(PlayhallError):
    """There is no bot with this slug or id; /v1/bots lists them."""

    code, status = "bot_not_found", 404


class BotTaken(PlayhallError):
    """There is a bot with this slug already; choose another."""

    code, status = "bot_taken", 409


class BotNotActive(PlayhallError):
    """The bot is suspended or retired; a moderator can make it active again."""

    code, status = "bot_not_active", 409


class TooManyBots(PlayhallError):
    """You have registered as many bots as one account may."""

    code, status = "too_many_bots", 409


class NotTheOwner(PlayhallError):
    """Only who owns the bot now may do this; link the wallet that owns it first."""

    code, status = "not_the_owner", 403


class BotTokenNotFound(PlayhallError):
    """There is no such token of this bot, or it is not yours to see."""

    code, status = "bot_token_not_found", 404


class TooManyBotTokens(PlayhallError):
    """The bot has as many tokens as it may have; revoke one first."""

    code, status = "too_many_bot_tokens", 409


# ------------------------------------------------------------------ wallets


class WalletRequired(PlayhallError):
    """Link a wallet first: sign a message with it and send both to /v1/me/wallets."""

    code, status = "wallet_required", 403


class BadWalletProof(PlayhallError):
    """The message and its signature do not prove that the wallet is yours; sign a new message."""

    code, status = "bad_wallet_proof", 403


class BadNonce(PlayhallError):
    """This nonce is not yours, expired, or used already; get one from /v1/wallets/nonce."""

    code, status = "bad_nonce", 403


class WalletTaken(PlayhallError):
    """This address is linked to another account; unlink it there first."""

    code, status = "wallet_taken", 409


class WalletNotFound(PlayhallError):
    """This address is not linked to your account; GET /v1/me/wallets lists those that are."""

    code, status = "wallet_not_found", 404


class TooManyWallets(PlayhallError):
    """As many wallets are linked to your account as may be; unlink one first."""

    code, status = "too_many_wallets", 409


# ------------------------------------------------------------------ avatars


class AvatarNotFound(PlayhallError):
    """There is no such avatar of this bot, or you may not see it."""

    code, status = "avatar_not_found", 404


class AvatarNotApproved(PlayhallError):
    """A moderator has not approved this avatar; choose another, or wait."""

    code, status = "avatar_not_approved", 409


class TooManyAvatars(PlayhallError):
    """The bot has as many avatars as it may have."""

    code, status = "too_many_avatars", 409
