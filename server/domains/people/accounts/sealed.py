"""What accounts keep sealed, how it is found, and whether the keys at hand open it.

A server with another key would find nobody by their address, and take people for new ones.
"""

import unicodedata

from persistence.accounts.sign_in import SignInStore
from persistence.sealing import Seal, SealedSample, require_opens
from protocol.email_address import InvalidAddress, parse_address
from protocol.ids import UserId


def folded_email(address: str) -> str:
    """Give what is equal for all spellings of an address: what is counted and compared."""
    return _email_forms(address)[0]


def method_indexes(seal: Seal, kind: str, name: str) -> list[bytes]:
    """Hash an address, or an id at a provider, under every key; the first is what is stored now.

    An address is also looked for in the forms that earlier versions stored.
    """
    forms = _email_forms(name) if kind == "email" else [name]
    return [index for form in forms for index in seal.blind_indexes(form, about=kind)]


def renewed_index(seal: Seal, kind: str, name: str, stored: bytes) -> bytes:
    """Hash the form of a name that a row was stored with under the newest key.

    The form stays as it is, so that two rows of earlier versions never become equal.
    """
    for form in _email_forms(name) if kind == "email" else []:
        indexes = seal.blind_indexes(form, about=kind)
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
    except InvalidAddress:
        return [once]
    return list(dict.fromkeys((parsed.folded, parsed.ascii_folded, once)))


def method_context(kind: str, user_id: UserId) -> str:
    """Name a sealed method: it opens in its own row only."""
    return f"{kind} of {user_id}"


def code_context(code_hash: bytes) -> str:
    """Name the sealed contents of a one-time code."""
    return f"code {code_hash.hex()}"


async def require_keys(seal: Seal, store: SignInStore) -> None:
    """Read the keys; raise `StartRefused` if they are damaged, or do not open what is stored.

    Where there are none yet, one is made, but only if nothing is stored that another one sealed.
    """
    samples = [
        SealedSample(each.sealed, method_context(each.kind, each.user_id))
        for each in await store.sample_sealed_methods()
    ]
    if not samples or not seal.is_missing():
        seal.require_keys()
    require_opens(seal, samples, what="what people sign in with")
