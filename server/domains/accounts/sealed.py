"""What accounts keep sealed, and how it is found: emails, Discord ids, the contents of codes."""

import unicodedata

from persistence.sealing import Seal
from protocol.emailaddress import BadAddress, parse_address
from protocol.ids import UserId


def folded_email(address: str) -> str:
    """Give what is equal for all spellings of an address: what is counted and compared."""
    return _email_forms(address)[0]


def method_indexes(seal: Seal, kind: str, name: str) -> list[bytes]:
    """Hash an address, or an id at Discord, under every key; the first is what is stored now.

    An address is also looked for in the forms that earlier versions stored.
    """
    forms = _email_forms(name) if kind == "email" else [name]
    return [index for form in forms for index in seal.indexes(form, about=kind)]


def renewed_index(seal: Seal, kind: str, name: str, stored: bytes) -> bytes:
    """Hash the form of a name that a row was stored with under the newest key.

    The form stays as it is, so that two rows of earlier versions never become equal.
    """
    for form in _email_forms(name) if kind == "email" else []:
        indexes = seal.indexes(form, about=kind)
        if stored in indexes:
            return indexes[0]
    return method_indexes(seal, kind, name)[0]


def _email_forms(address: str) -> list[str]:
    """List the forms that an address may be stored in: that of today first, each once.

    Earlier versions lower-cased what was typed, whichever way its domain was written, and
    accepted what is not an address.
    """
    once = unicodedata.normalize("NFC", address.strip()).lower()
    try:
        parsed = parse_address(address.strip())
    except BadAddress:
        return [once]
    return list(dict.fromkeys((parsed.folded, parsed.ascii_folded, once)))


def about_method(kind: str, user_id: UserId) -> str:
    """Name a sealed method: it opens in its own row only."""
    return f"{kind} of {user_id}"


def about_code(code_hash: bytes) -> str:
    """Name the sealed contents of a one-time code."""
    return f"code {code_hash.hex()}"
