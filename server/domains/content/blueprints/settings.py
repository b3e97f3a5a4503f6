"""Blueprints: what they are called, and what the version in a name means."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from server.core.settings import Settings
from server.domains.content.blueprints.model import example_from_help, version_from_name


def _with_example(text: str) -> str:
    if version_from_name(example_from_help(text)) is None:
        raise PydanticCustomError(
            "example",
            "end it with an example of a name: letters and digits, then a version, as in MORDIG10",
        )
    return text


class BlueprintSettings(Settings):
    """The rule for names, how it is explained, and what a version is worth."""

    blueprint_name_pattern: Annotated[str, Field(min_length=1, max_length=500)] = Field(
        default="([BCDFGHJ-NP-TV-Z][AEIOU][BCDFGHJ-NP-TV-Z]){2}[1-9][0-9]{0,3}",
        description="A regular expression of PostgreSQL that a whole name must match.",
    )
    blueprint_name_help: Annotated[str, Field(max_length=300), AfterValidator(_with_example)] = (
        Field(
            default="Write two syllables of consonant, vowel, consonant in capitals, "
            "then the version from 1 to 9999: MORDIG10",
            description="The error message for a name that does not match; ends with an example.",
        )
    )
    blueprint_capacity_per_version: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=10, description="What data.capacity is divided by to give the version; 0: anything."
    )
