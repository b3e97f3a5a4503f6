"""Whether the rules that days are made by can be used on this machine."""

import orjson

from persistence.epochs import EpochStore
from persistence.refusals import StartRefused
from protocol.codec import validate
from protocol.epoch import EpochProfile
from protocol.errors import InvalidField
from server.domains.epochs.rules import check_profile


async def require_profiles(days: EpochStore) -> None:
    """Raise `StartRefused` if a day could not be made or finished by its rules.

    They were checked when they were stored, but perhaps on a machine that knows more time zones.
    """
    for key, config in await days.profiles_in_use():
        try:
            check_profile(validate(EpochProfile, orjson.loads(config)))
        except InvalidField as error:
            raise StartRefused(
                f"The epochs' profile {key!r} cannot be used here. {error.message} "
                "Choose another with `playhall epoch profiles --activate KEY`, install a newer "
                "tzdata if it does not know the time zone, or set PLAYHALL_EPOCHS=false to serve "
                "without epochs."
            ) from error
