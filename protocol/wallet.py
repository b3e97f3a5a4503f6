"""Wallets on the wire: Ethereum addresses that an account has proved to hold."""

from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

from protocol.lobbyfields import shaped

ADDRESS_CHARS: Final = 42

# However it is written (EIP-55 gives capitals a meaning), an address is lowercase inside.
Address = Annotated[
    str,
    StringConstraints(max_length=ADDRESS_CHARS),
    shaped(r"0x[0-9a-fA-F]{40}", "Write an address as 0x and 40 hexadecimal digits"),
    AfterValidator(str.lower),
]
