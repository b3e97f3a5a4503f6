"""Settings: frozen classes of `PLAYHALL_*` variables, each read once, before anything is served.

The node's own are `server.config.Config`. Every domain, included or of a title package, brings one
class of its own, names it in `Domain.settings`, and is given it by `Services.settings`.
"""

import os
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from compiled.loader import SWITCH
from persistence.errors import StartRefused
from server.core.addresses import is_origin

PREFIX: Final = "PLAYHALL_"
# How much of two names must be equal for the one to be taken for the other, misspelled.
NEAR_ENOUGH: Final = 0.85


class Settings(BaseSettings):
    """What an operator can set; the field `x` is the variable `PLAYHALL_X`.

    A title package sets an `env_prefix` of its own.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    # What was given by name, such as by an option of the command line, and not by a variable.
    _given: frozenset[str] = PrivateAttr(default=frozenset())

    def note_given(self, names: Iterable[str]) -> None:
        """Note what was not read from the environment."""
        self._given = frozenset(names)

    def was_given(self, field: str) -> bool:
        """Say whether a field was given by name."""
        return field in self._given


S = TypeVar("S", bound=BaseSettings)


def read_settings(model: type[S], **given: Any) -> S:
    """Read a class of settings; raise `StartRefused` with the variable and what is wrong.

    What is given by name is used instead of its variable.
    """
    try:
        made = model(**given)
    except ValidationError as error:
        first = error.errors()[0]
        field = "_".join(map(str, first["loc"]))
        # What concerns several fields has no place, and names them itself.
        where = f"{_prefix(model)}{field}".upper() + ": " if field else ""
        raise StartRefused(f"{where}{_sentence(first)}.") from None
    except SettingsError as error:  # a list or an object that is not JSON
        raise StartRefused(f"A setting {_prefix(model)}… must be JSON: {error}.") from None
    if isinstance(made, Settings):
        made.note_given(given)
    return made


def variable_names(model: type[BaseSettings]) -> Iterator[str]:
    """Name the variables that a class is read from."""
    return (variable_name(model, field) for field in model.model_fields)


def variable_name(model: type[BaseSettings], field: str) -> str:
    """Name the variable that a field is read from."""
    return f"{_prefix(model)}{field}".upper()


def unread_variables(known: Collection[str]) -> list[str]:
    """Name the variables that look like ours and that nothing reads: most are misspelled."""
    given = {name.upper() for name in os.environ} - {SWITCH}  # which is read before settings are
    return sorted(name for name in given if _looks_like_ours(name) and name not in known)


def nearest_variable(name: str, known: Collection[str]) -> str | None:
    """Give the variable that a misspelled one was probably meant to be."""
    return next(iter(get_close_matches(name.upper(), known, n=1, cutoff=NEAR_ENOUGH)), None)


def _looks_like_ours(name: str) -> bool:
    """Say whether a variable has our prefix, or one with a letter wrong and a name that we read."""
    if name.startswith(PREFIX):
        return True
    prefix, found, _ = name.partition("_")
    return bool(found and get_close_matches(prefix, (PREFIX[:-1],), cutoff=NEAR_ENOUGH))


def _sentence(error: ErrorDetails) -> str:
    if error["type"] == "too_short":  # of a secret, for which pydantic has "items"
        least, actual = error["ctx"]["min_length"], error["ctx"]["actual_length"]
        return f"It must have at least {least} characters, not {actual}"
    return error["msg"]


def _prefix(model: type[BaseSettings]) -> str:
    return model.model_config.get("env_prefix", "")


class SettingsReader:
    """What each domain is set to: read when it is first asked for, and the same from then on.

    `given` is used as it is: what was read earlier, or what a test sets.
    """

    def __init__(self, *given: BaseSettings) -> None:
        self._read: dict[type[BaseSettings], BaseSettings] = {type(each): each for each in given}

    def variable_names(self) -> Iterator[str]:
        """Name the variables that were read so far."""
        for model in self._read:
            yield from variable_names(model)

    def __call__(self, model: type[S]) -> S:
        """Give a domain's settings; raise `StartRefused`."""
        if model not in self._read:
            self._read[model] = read_settings(model)
        return self._read[model]  # type: ignore[return-value]  # the key is its class


# ------------------------------------------------------------------ kinds of values


def split_names(listed: str) -> tuple[str, ...]:
    """Read names that are comma separated."""
    return tuple(filter(None, (name.strip() for name in listed.split(","))))


def _origins(listed: str) -> str:
    for name in split_names(listed):
        if name not in ("*", "null") and not is_origin(name):
            raise PydanticCustomError(
                "origin",
                "write {name} as https://play.example or https://play.example:8443, commas between",
                {"name": name},
            )
    return listed


Seconds = Annotated[float, Field(ge=0, le=86_400)]
Origins = Annotated[str, AfterValidator(_origins)]
