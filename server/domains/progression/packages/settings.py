"""Content packages: how large they may be, what mods may read, how long signatures are good for."""

from typing import Annotated, Final

from pydantic import Field

from server.core.settings import Settings

MIB: Final = 1024 * 1024


class PackageSettings(Settings):
    """Sizes, what mods may read, and the lifetime of the signed timestamp."""

    content_package_bytes_max: Annotated[int, Field(ge=1, le=2**40)] = Field(
        default=256 * MIB, description="Size of a package."
    )
    content_unpacked_bytes_max: Annotated[int, Field(ge=1, le=2**42)] = Field(
        default=1024 * MIB, description="Size of all files in a ZIP archive, unpacked."
    )
    content_delta_bytes_max: Annotated[int, Field(ge=1, le=512 * MIB)] = Field(
        default=32 * MIB, description="Size of packages that deltas are made for; in memory."
    )
    content_packages_max: Annotated[int, Field(ge=1, le=20_000)] = Field(
        default=5000, description="Versions of packages, drafts and withdrawn ones included."
    )
    content_mod_reads: str = Field(
        default="flags,counters,choices,quests",
        description="Fields of a save that mods may read, comma separated.",
    )
    content_timestamp_s: Annotated[int, Field(ge=60, le=30 * 86_400)] = Field(
        default=86_400, description="How long clients trust the signed timestamp."
    )
