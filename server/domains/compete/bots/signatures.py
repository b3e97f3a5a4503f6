"""Signatures of wallets over a text (EIP-191). Pure.

The extra `blockchain` brings the packages that this imports; `siwe.py` does without them.
"""

from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from protocol.bots import BadWalletProof

# How the last byte of a signature is written: as Ethereum did at first, or as the curve has it.
_RECOVERY = {0: 0, 1: 1, 27: 0, 28: 1}


def require_signature(message: str, signature: str, address: str) -> None:
    """Raise `BadWalletProof` unless this address signed the message; takes about 5 ms.

    `signature` is 0x and 130 hexadecimal digits, `address` has the capitals of EIP-55.
    """
    if to_checksum_address(address) != address:
        raise BadWalletProof(
            f"Write the address with the capitals of EIP-55: {to_checksum_address(address)}.",
            field="message",
        )
    if _signer(message, bytes.fromhex(signature[2:])) != address:
        raise BadWalletProof(
            f"The signature is not by {address} over this message; contracts cannot sign here.",
            field="signature",
        )


def _signer(message: str, signature: bytes) -> str | None:
    data = message.encode()
    digest = keccak(b"\x19Ethereum Signed Message:\n%d%s" % (len(data), data))
    recovery = _RECOVERY.get(signature[64])
    if recovery is None:
        return None
    try:
        parsed = Signature(signature[:64] + bytes([recovery]))
        return parsed.recover_public_key_from_msg_hash(digest).to_checksum_address()
    except BadSignature:
        return None
