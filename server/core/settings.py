"""Settings: frozen classes of `PLAYHALL_*` variables, each read once, before anything is served.

The node's own are `server.config.Config`. Every domain, included or of a title package, brings one
class of its own, names it in `Domain.settings`, and is given it by `Services.settings`.
"""

import os
from collections.abc import Collection, Iterator
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from persistence.errors import StartRefused
from server.core.addresses import is_origin

PREFIX: Final = "PLAYHALL_"


class Settings(BaseSettings):
    """What an operator can set; the field `x` is the variable `PLAYHALL_X`.

    A title package sets an `env_prefix` of its own.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")


S = TypeVar("S", bound=BaseSettings)


def read_settings(model: type[S], **given: Any) -> S:
    """Read a class of settings; raise `StartRefused` with the variable and what is wrong.

    What is given by name is used instead of its variable.
    """
    try:
        return model(**given)
    except ValidationError as error:
        first = error.errors()[0]
        field = "_".join(map(str, first["loc"]))
        # What concerns several fields has no place, and names them itself.
        where = f"{_prefix(model)}{field}".upper() + ": " if field else ""
        raise StartRefused(f"{where}{first['msg']}.") from None
    except SettingsError as error:  # a list or an object that is not JSON
        raise StartRefused(f"A setting {_prefix(model)}… must be JSON: {error}.") from None


def variable_names(model: type[BaseSettings]) -> Iterator[str]:
    """Name the variables that a class is read from."""
    return (f"{_prefix(model)}{field}".upper() for field in model.model_fields)


def unread_variables(known: Collection[str]) -> list[str]:
    """Name the variables that look like ours and that nothing reads: most are misspelled."""
    given = (name.upper() for name in os.environ)
    return sorted(name for name in given if name.startswith(PREFIX) and name not in known)


def _prefix(model: type[BaseSettings]) -> str:
    return model.model_config.get("env_prefix", "")


class SettingsReader:
    """What each domain is set to: read when it is first asked for, and the same from then on.

    `given` is used as it is: what was read earlier, or what a test sets.
    """

    def __init__(self, *given: BaseSettings) -> None:
        self._read: dict[type[BaseSettings], BaseSettings] = {type(each): each for each in given}

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
