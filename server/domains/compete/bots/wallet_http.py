"""`/v1/me/wallets`: linking Ethereum addresses by signing in with them, and unlinking them."""

import asyncio
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
from protocol.errors import InvalidField, NotSetUp, RateLimited
from server.core.clock import Clock, wire_time
from server.core.extras import BLOCKCHAIN
from server.domains.compete.bots import rules
from server.domains.compete.bots.authentication import TokenAuthenticator
from server.domains.compete.bots.siwe import Origin, parse_message, require_meant_for
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
        authenticator: TokenAuthenticator,
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
                errors=(NotSetUp, RateLimited),
            ),
            make(
                "POST",
                MINE,
                "Link a wallet with a signed EIP-4361 message.",
                self._link,
                body=WalletProof,
                answer=Wallets,
                errors=(NotSetUp, BadWalletProof, BadNonce, WalletTaken, TooManyWallets),
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
        _require_set_up()
        nonce = secrets.token_hex(NONCE_BYTES)
        expires_at = rules.compute_nonce_expiry(
            await self._store.add_nonce(
                request.who.user_id, nonce, life_s=rules.NONCE_S, at_most=rules.NONCES_MAX
            )
        )
        domains = [origin.domain for origin in self._origins()]
        return WalletNonce(nonce=nonce, expires_at=wire_time(expires_at), domains=domains)

    async def _link(self, request: HttpRequest) -> Wallets:
        _require_set_up()
        proof: WalletProof = request.body
        sign_in = parse_message(proof.message)
        require_meant_for(sign_in, self._origins(), now=self._clock.now())
        # First, so that whoever sends nonsense gets as many signatures checked as nonces.
        await self._store.use_nonce(request.who.user_id, sign_in.nonce)
        # In a thread: it takes about 5 ms, and the first time it imports for 100 ms.
        await asyncio.to_thread(_require_signed, proof, sign_in.address)
        who, address = request.who.user_id, sign_in.address.lower()
        holder = await self._store.link(who, address, at_most=rules.WALLETS_MAX)
        rules.require_linked(holder, who)
        return await self._list(request)

    async def _list(self, request: HttpRequest) -> Wallets:
        stored = await self._store.list(request.who.requester)
        return Wallets(wallets=[_wallet(each) for each in stored])

    async def _unlink(self, request: HttpRequest) -> Wallets:
        address = request.parse_path(WalletPath).address
        await self._store.unlink(request.who.user_id, address)
        await self._authenticator.enforce()
        return await self._list(request)


def _require_set_up() -> None:
    if not BLOCKCHAIN.is_installed:
        raise NotSetUp(
            "This server cannot check the signatures of wallets; its operator can install "
            f"{BLOCKCHAIN.requirement}."
        )


def _require_signed(proof: WalletProof, address: str) -> None:
    # Not at the top: few servers link wallets, and every start would wait for the import.
    from server.domains.compete.bots.signatures import require_signature

    require_signature(proof.message, proof.signature, address)


def _wallet(stored: StoredWallet) -> Wallet:
    return Wallet(address=stored.address, linked_at=wire_time(stored.linked_at))
