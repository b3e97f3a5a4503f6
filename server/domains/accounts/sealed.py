"""What accounts keep sealed, and how it is found: emails, Discord ids, the contents of codes."""

import unicodedata

from persistence.sealing import Seal
from protocol.ids import UserId


def normal_email(address: str) -> str:
    """Write an address as it is compared: without outer blanks, in one form, lowercase."""
    return unicodedata.normalize("NFC", address.strip()).lower()


def method_indexes(seal: Seal, kind: str, name: str) -> list[bytes]:
    """Hash an address, or an id at Discord, under every key, the newest first."""
    return seal.indexes(normal_email(name) if kind == "email" else name, about=kind)


def about_method(kind: str, user_id: UserId) -> str:
    """Name a sealed method: it opens in its own row only."""
    return f"{kind} of {user_id}"


def about_code(code_hash: bytes) -> str:
    """Name the sealed contents of a one-time code."""
    return f"code {code_hash.hex()}"
