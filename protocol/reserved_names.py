"""Names that are kept for those who run a server, however they are written.

A name is compared by its skeleton: compatibility forms and accents are taken off (NFKD), letters of
other scripts become the Latin ones that they look like, and all but letters is left out. Digits and
signs are read in two ways: as the letters that they stand for (`adm1n`), or as nothing (`admin_1`).
`is_reserved_name` says the same in SQL, for rows that people write themselves.
"""

import re
from typing import Final
from unicodedata import normalize

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

# Each of these alone, in the plural, or with any of the words below, is reserved.
RESERVED: Final = (
    *("admin", "administrator", "gamemaster", "helpdesk", "mod", "moderator", "official"),
    *("operator", "playhall", "root", "server", "staff", "support", "superuser", "sysadmin"),
    *("sysop", "system", "webmaster"),
)
BESIDE: Final = (
    *("account", "bot", "chief", "customer", "game", "global", "head", "help", "hall", "real"),
    *("team", "tech", "the"),
)

# Capitals and small letters that cannot be told from Latin ones: Cyrillic, then Greek, then others.
LOOK_ALIKES: Final = str.maketrans(
    "АаВСсЕеНІіЈјКМОоРрЅѕТУуХхԁҺһԛԜԝӏ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαιορυνκ" + "ıƖɑɡɩʟᴀᴅᴇɪᴍɴᴏᴘʀꜱᴛᴜᴠøØłŁđĐ",
    "AaBCcEeHIiJjKMOoPpSsTYyXxdHhqWwi" + "ABEZHIKMNOPTYXaiopuvk" + "iiagiladeimnoprstuvoOlLdD",
)
LETTERS_FOR: Final = str.maketrans("013457@$!|", "oieastasii")


def _skeleton(letters: str) -> str:
    """Leave out all but letters, and make one of those that look alike: I and l, rn and m."""
    return re.sub("[^a-z]", "", letters.lower()).replace("l", "i").replace("rn", "m")


def _any_of(words: tuple[str, ...]) -> str:
    return "|".join(map(_skeleton, words))


_ANY: Final = f"(?:{_any_of(RESERVED + BESIDE)})s?"
PATTERN: Final = f"(?:{_ANY})*(?:{_any_of(RESERVED)})s?(?:{_ANY})*"


def is_reserved(name: str) -> bool:
    """Say whether people would take the bearer of a name for one who runs the server."""
    plain = normalize("NFKD", name).translate(LOOK_ALIKES)
    unnumbered = plain.rstrip("0123456789")
    readings = (plain, plain.translate(LETTERS_FOR), unnumbered.translate(LETTERS_FOR))
    return any(re.fullmatch(PATTERN, _skeleton(reading)) for reading in readings)


def _not_reserved(name: str) -> str:
    if is_reserved(name):
        raise PydanticCustomError(
            "reserved_name",
            "Choose another name: this one is reserved for the operators of the server",
        )
    return name


NOT_RESERVED: Final = AfterValidator(_not_reserved)
