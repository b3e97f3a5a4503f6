"""Bots: everything that the domain offers."""

from collections.abc import Sequence

from persistence.bots.avatars import BotAvatarStore
from persistence.bots.store import BotStore
from persistence.bots.tokens import BotTokenStore
from persistence.bots.wallets import WalletStore
from server.core.retention import RetentionSweep
from server.core.settings import split_names
from server.domains.compete.bots.authentication import TokenAuthenticator
from server.domains.compete.bots.avatar_http import AvatarRoutes
from server.domains.compete.bots.http import BotAdminRoutes, BotRoutes
from server.domains.compete.bots.siwe import Origin
from server.domains.compete.bots.wallet_http import WalletRoutes
from server.domains.contract import Domain, provide
from server.domains.interfaces import AccountAuthenticator, Authenticator, BotOwners
from server.domains.services import Services
from server.gateway.http.cors import ANY_ORIGIN


def build(services: Services) -> Domain:
    """Put the domain together."""
    database, rls, clock = services.database, services.rls, services.clock
    bots, tokens = BotStore(database, rls), BotTokenStore(database)
    authenticator = TokenAuthenticator(
        store=tokens,
        subscriptions=services.subscriptions,
        people=services.interfaces.get(AccountAuthenticator),
        connections=services.sessions,
        events=services.events,
    )
    pages = [page for page in split_names(services.config.origins) if page != ANY_ORIGIN]

    def origins() -> Sequence[Origin]:
        """List whose messages are taken: this server's own pages', and those of allowed origins."""
        return [Origin.from_url(url) for url in (services.address(), *pages)]

    stored_wallets = WalletStore(database, rls)
    wallets = WalletRoutes(
        store=stored_wallets, authenticator=authenticator, origins=origins, clock=clock
    )
    return Domain(
        name="bots",
        endpoints=[
            *BotRoutes(
                bots=bots, tokens=tokens, authenticator=authenticator, clock=clock
            ).endpoints(),
            *AvatarRoutes(bots=bots, avatars=BotAvatarStore(database, rls)).endpoints(),
            *BotAdminRoutes(bots=bots, authenticator=authenticator).endpoints(),
            *wallets.endpoints(),
        ],
        provides=(provide(Authenticator, authenticator), provide(BotOwners, bots)),
        retention=[RetentionSweep("wallet_nonces", stored_wallets.forget_nonces)],
    )
