"""`/v1/me/wallets`: linking Ethereum addresses by signing in with them, and unlinking them."""

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from persistence.bots.wallets import StoredWallet, WalletStore
from protocol.bots import (
    BadNonce,
    BadWalletProof,
    TooManyWallets,
    Wallet,
    WalletNonce,
    WalletNotFound,
    WalletPath,
    WalletProof,
    Wallets,
    WalletTaken,
)
from protocol.codec import validate
from protocol.errors import InvalidField, RateLimited
from server.core.clock import Clock, wire_time
from server.domains.compete.bots.authentication import BotAuthenticator
from server.domains.compete.bots.siwe import Origin, parse, require_ours, require_signed
from server.gateway.http.endpoints import Endpoint, HttpRequest

TAG: Final = "wallets"
MINE: Final = "/v1/me/wallets"
NONCE_BYTES: Final = 16


class WalletRoutes:
    """The addresses of wallets; `origins` says which pages' messages are taken."""

    def __init__(
        self,
        *,
        store: WalletStore,
        authenticator: BotAuthenticator,
        origins: Callable[[], Sequence[Origin]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._authenticator = authenticator
        self._origins = origins
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(Endpoint, auth="required", tag=TAG)
        return [
            make(
                "POST",
                "/v1/wallets/nonce",
                "Get a nonce for the message that your wallet signs.",
                self._nonce,
                answer=WalletNonce,
                errors=(RateLimited,),
            ),
            make(
                "POST",
                MINE,
                "Link a wallet with a signed EIP-4361 message.",
                self._link,
                body=WalletProof,
                answer=Wallets,
                errors=(BadWalletProof, BadNonce, WalletTaken, TooManyWallets),
            ),
            make("GET", MINE, "List your wallets.", self._list, answer=Wallets),
            make(
                "DELETE",
                MINE + "/{address}",
                "Unlink a wallet and end the bot tokens that it created.",
                self._unlink,
                answer=Wallets,
                errors=(WalletNotFound, InvalidField),
            ),
        ]

    async def _nonce(self, request: HttpRequest) -> WalletNonce:
        nonce = secrets.token_hex(NONCE_BYTES)
        expires_at = await self._store.add_nonce(request.who.user_id, nonce)
        domains = [origin.domain for origin in self._origins()]
        return WalletNonce(nonce=nonce, expires_at=wire_time(expires_at), domains=domains)

    async def _link(self, request: HttpRequest) -> Wallets:
        proof: WalletProof = request.body
        sign_in = parse(proof.message)
        require_ours(sign_in, self._origins(), now=self._clock.now())
        # First, so that whoever sends nonsense gets as many signatures checked as nonces.
        await self._store.use_nonce(request.who.user_id, sign_in.nonce)
        require_signed(proof.message, proof.signature, sign_in.address)
        await self._store.link(request.who.user_id, sign_in.address.lower())
        return await self._list(request)

    async def _list(self, request: HttpRequest) -> Wallets:
        stored = await self._store.list(request.who.requester)
        return Wallets(wallets=[_wallet(each) for each in stored])

    async def _unlink(self, request: HttpRequest) -> Wallets:
        address = validate(WalletPath, dict(request.path)).address
        await self._store.unlink(request.who.user_id, address)
        await self._authenticator.enforce()
        return await self._list(request)


def _wallet(stored: StoredWallet) -> Wallet:
    return Wallet(address=stored.address, linked_at=wire_time(stored.linked_at))
