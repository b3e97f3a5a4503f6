"""The errors of epochs. Flat children, as in `errors`."""

from protocol.errors import PlayhallError

# ------------------------------------------------------------------ days


class EpochNotFound(PlayhallError):
    """There is no such epoch; GET /v1/epochs lists them."""

    code, status = "epoch_not_found", 404


class EpochNotLive(PlayhallError):
    """The epoch is not live now; GET /v1/epochs/current says when it is."""

    code, status = "epoch_not_live", 409


class EpochNotSettled(PlayhallError):
    """The epoch is not settled yet."""

    code, status = "epoch_not_settled", 409


class EpochsOverlap(PlayhallError):
    """The day would overlap with another; change the profile's cadence, or wait."""

    code, status = "epochs_overlap", 409


class ProfileInUse(PlayhallError):
    """Days were played by this profile, so it stays as it is; choose another key."""

    code, status = "profile_in_use", 409


class AlreadyPaid(PlayhallError):
    """A payout of this epoch was submitted, so the result stays as it is."""

    code, status = "already_paid", 409


# ------------------------------------------------------------------ mirrored days


class EpochMirrored(PlayhallError):
    """Another system plays this epoch and its events come from there; claim and vote there."""

    code, status = "epoch_mirrored", 409


class EpochPlayed(PlayhallError):
    """Claims or votes were made here already, so the epoch cannot be mirrored; take the next."""

    code, status = "epoch_played", 409


class MirrorGap(PlayhallError):
    """A line is missing and nothing was applied; send the lines again from `expected` on."""

    code, status = "mirror_gap", 409

    def __init__(self, message: str | None = None, *, expected: int = 1) -> None:
        super().__init__(message)
        self.expected = expected


# ------------------------------------------------------------------ claims and votes


class BotRequired(PlayhallError):
    """Only a bot may do this; sign in with a bot's token that has the scope."""

    code, status = "bot_required", 403


class SlotNotFound(PlayhallError):
    """The epoch has no slot of this index."""

    code, status = "slot_not_found", 404


class CodeRefused(PlayhallError):
    """The slot does not take this code."""

    code, status = "code_refused", 422


class Cooldown(PlayhallError):
    """Too early; wait and send it again."""

    code, status, retry = "cooldown", 429, True


class VotingClosed(PlayhallError):
    """The epoch's profile does not let you vote."""

    code, status = "voting_closed", 403
