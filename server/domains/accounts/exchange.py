"""Discord, the last step: a code from a redirect becomes tokens, or a linked method.

The code travels in an address, so it is worth nothing alone: whoever started must send the
verifier behind the challenge (S256, RFC 7636) that they started with.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

from protocol.account import Tokens
from protocol.errors import BadCode
from protocol.ids import UserId
from server.domains.accounts.codes import Codes, Proof
from server.domains.accounts.methods import Methods, Proved

DISCORD: Final = "discord"


def challenge_of(verifier: str) -> str:
    """Give the S256 challenge of a verifier."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class DiscordSignIn:
    """What a code that came back from Discord is good for."""

    def __init__(self, *, codes: Codes, methods: Methods) -> None:
        self._codes = codes
        self._methods = methods

    async def made(self, *, discord_id: str, name: str, challenge: str) -> str:
        """Make the code that goes on the redirect."""
        contents: dict[str, str | None] = {"id": discord_id, "name": name, "challenge": challenge}
        return await self._codes.make(DISCORD, contents)

    async def exchange(self, code: str, verifier: str) -> Tokens:
        """Sign in, with a new account if there is none; raise `BadCode` or `Banned`."""
        proof, proved = await self._read(code, verifier)
        found = await self._methods.find(DISCORD, proved.name)
        if found is not None:
            return await self._methods.enter(proof.code_hash, found)
        name = proved.label or None
        return await self._methods.join(proof.code_hash, proved, display_name=name)

    async def link(self, user_id: UserId, code: str, verifier: str) -> None:
        """Link to an account; raise `BadCode` or `MethodTaken`."""
        proof, proved = await self._read(code, verifier)
        await self._methods.link(proof.code_hash, user_id, proved)

    async def _read(self, code: str, verifier: str) -> tuple[Proof, Proved]:
        proof = await self._codes.read(DISCORD, code)
        discord_id, challenge = proof.contents["id"], proof.contents["challenge"]
        assert discord_id is not None
        assert challenge is not None
        if not hmac.compare_digest(challenge_of(verifier).encode(), challenge.encode()):
            raise BadCode("The verifier is not the one behind the challenge that you sent.")
        return proof, Proved(DISCORD, discord_id, proof.contents["name"] or "")
