"""Which version this is; the distributions have the same."""

from typing import Final

VERSION: Final = "0.1.0"
