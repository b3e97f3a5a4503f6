"""Limits on passwords that are tried or chosen, counted before anything is hashed.

A guess at an account counts for its network, for the two together, and, from networks where nobody
has signed in to the account lately, for the account. So guesses from many networks are few in all,
and yet the owner is not locked out: at home the wide limit does not count. From elsewhere the owner
waits, or chooses a new password by mail, which makes that network known.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, NamedTuple, TypeAlias

from protocol.ids import SessionId, UserId
from server.core.rate_limits import KEYS_MAX, Rate, RateLimiter, client_network, require_all

KNOWN_MAX: Final = KEYS_MAX

# Has other nodes count what a limiter counts.
Share: TypeAlias = Callable[[RateLimiter], RateLimiter]


def keep_to_this_node(limiter: RateLimiter) -> RateLimiter:
    """Have no other node count what a limiter counts."""
    return limiter


class AttemptLimiter:
    """What may be tried from one network and on one account; `now` gives monotonic seconds."""

    def __init__(
        self,
        *,
        network: Rate,
        account: Rate,
        now: Callable[[], float],
        share: Share = keep_to_this_node,
    ) -> None:
        self._networks = share(
            RateLimiter("mails-network", network, "Too many attempts from your network")
        )
        self._accounts = share(
            RateLimiter("mails-account", account, "Too many attempts for this account")
        )
        self._now = now

    def count(self, *, remote: str, account: Hashable) -> None:
        """Count one more; raise `RateLimited`."""
        require_all(
            [(self._networks, client_network(remote)), (self._accounts, account)], self._now()
        )


class PasswordAttemptLimits(NamedTuple):
    """What is allowed; from one network there may be a school."""

    network: Rate = Rate(per_minute=30, burst=60)
    account_from_network: Rate = Rate(per_minute=2, burst=10)
    account_from_unknown_networks: Rate = Rate(per_minute=6, burst=100)
    session: Rate = Rate(per_minute=2, burst=10)  # of somebody who sends their present password
    code: Rate = Rate(per_minute=2, burst=10)  # of a mail, with a password to choose


class PasswordLimits:
    """Counts what is tried; `now` gives monotonic seconds. Each method raises `RateLimited`."""

    def __init__(
        self,
        *,
        now: Callable[[], float],
        limits: PasswordAttemptLimits | None = None,
        share: Share = keep_to_this_node,
    ) -> None:
        limits = limits or PasswordAttemptLimits()
        self._now = now
        self._networks = share(
            RateLimiter("passwords-network", limits.network, "Too many attempts from your network")
        )
        self._pairs = share(
            RateLimiter(
                "passwords-account-network",
                limits.account_from_network,
                "Too many attempts for this account from your network",
            )
        )
        self._accounts = share(
            RateLimiter(
                "passwords-account",
                limits.account_from_unknown_networks,
                "Too many attempts for this account; reset the password at /v1/auth/email, "
                "sign in from a network where you did before",
            )
        )
        self._sessions = share(
            RateLimiter("passwords-session", limits.session, "Too many attempts in this session")
        )
        self._codes = share(
            RateLimiter("passwords-code", limits.code, "Too many attempts with this code")
        )
        self._known: OrderedDict[tuple[UserId, str], None] = OrderedDict()

    def from_network(self, remote: str) -> None:
        """Count an attempt of any kind, before anything is read."""
        self._networks.require_allowed(client_network(remote), self._now())

    def count_sign_in_attempt(
        self, address: Hashable, user_id: UserId | None, *, remote: str
    ) -> None:
        """Count a password for an address; `user_id` is whose that is, if anybody's."""
        network = client_network(remote)
        counted: list[tuple[RateLimiter, Hashable]] = [(self._pairs, (address, network))]
        if user_id is None or (user_id, network) not in self._known:
            counted.append((self._accounts, address))
        require_all(counted, self._now(), after=[(self._networks, network)])

    def count_session_attempt(self, session_id: SessionId, *, remote: str) -> None:
        """Count the present password of somebody who is signed in.

        By session: whoever stole one cannot keep the owner from changing the password in another.
        """
        require_all(
            [(self._networks, client_network(remote)), (self._sessions, session_id)], self._now()
        )

    def with_code(self, code_hash: bytes, *, remote: str) -> None:
        """Count a password that is chosen with the code of a mail."""
        require_all(
            [(self._codes, code_hash)],
            self._now(),
            after=[(self._networks, client_network(remote))],
        )

    def record_success(self, user_id: UserId, *, remote: str) -> None:
        """Remember a network where somebody proved to be the owner."""
        key = (user_id, client_network(remote))
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
