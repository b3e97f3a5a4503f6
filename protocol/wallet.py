"""Wallets on the wire: Ethereum addresses that an account has proved to hold."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

from protocol.envelope import WireModel
from protocol.lobbyfields import shaped

ADDRESS_CHARS: Final = 42
MESSAGE_CHARS_MAX: Final = 4000

# However it is written (EIP-55 gives capitals a meaning), an address is lowercase inside.
Address = Annotated[
    str,
    StringConstraints(max_length=ADDRESS_CHARS),
    shaped(r"0x[0-9a-fA-F]{40}", "Write an address as 0x and 40 hexadecimal digits"),
    AfterValidator(str.lower),
]


class WalletNonce(WireModel):
    """What to put into the message that a wallet signs; good once, for you, until it expires."""

    nonce: str
    expires_at: str
    domains: list[str] = Field(description="Which domains the message may be for.")


class WalletProof(WireModel):
    """A message of EIP-4361 (sign-in with Ethereum), and the wallet's signature of it."""

    message: Annotated[str, StringConstraints(min_length=1, max_length=MESSAGE_CHARS_MAX)]
    signature: Annotated[
        str,
        StringConstraints(max_length=132),
        shaped(r"0x[0-9a-fA-F]{130}", "Send a signature as 0x and 130 hexadecimal digits"),
    ]


class WalletPath(WireModel):
    """The wallet in an address."""

    address: Address


class Wallet(WireModel):
    """An address that is linked to your account; in lowercase."""

    address: str
    linked_at: str


class Wallets(WireModel):
    """Your wallets, the first linked first."""

    wallets: list[Wallet]
