"""Replace a method by one that calls it, before anything uses it."""

from collections.abc import Callable
from typing import Any, Protocol


class Wrapper(Protocol):
    """Make a method of the one that it replaces."""

    def __call__(self, original: Callable[..., Any], /) -> Callable[..., Any]:
        """Give the new method, which takes what the original takes."""


def wrap_method(owner: type, name: str, wrapper: Wrapper) -> None:
    """Replace a method. Raise `AttributeError` where the class itself has none of that name."""
    original = owner.__dict__.get(name)
    if original is None:
        raise AttributeError(f"{owner.__qualname__} has no method {name} that could be observed")
    setattr(owner, name, wrapper(original))
