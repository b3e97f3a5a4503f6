"""`/v1/me/merge` and `/v1/me/merges`: merging another account of one's own, and undoing it."""

from collections.abc import Callable
from functools import partial
from typing import Final

from protocol import accounts as wire
from protocol.errors import (
    AccountDeactivated,
    Banned,
    MergeBlocked,
    MergeChanged,
    MergeFinal,
    NotFound,
    RateLimited,
    SignInAgain,
    TokenExpired,
)
from server.core.rate_limits import Rate, RateLimiter
from server.domains.people.accounts.merging import AccountMergeService
from server.gateway.http.endpoints import Endpoint, HttpRequest

TAG: Final = "accounts"
MERGES: Final = Rate(per_minute=2, burst=20)  # of one account: each works on all of its rows


class MergeRoutes:
    """The addresses of merging; `now` gives monotonic seconds."""

    def __init__(self, *, merging: AccountMergeService, now: Callable[[], float]) -> None:
        self._merging = merging
        self._now = now
        self._merges = RateLimiter("merges", MERGES, "Too many merges")

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        own = partial(Endpoint, auth="required", tag=TAG)
        return [
            own(
                "POST",
                "/v1/me/merge/preview",
                "Say what merging another account of yours into this one would do.",
                self._preview,
                body=wire.MergeRequest,
                answer=wire.MergePreview,
                errors=(
                    MergeBlocked,
                    MergeChanged,
                    SignInAgain,
                    TokenExpired,
                    Banned,
                    AccountDeactivated,
                    RateLimited,
                ),
            ),
            own(
                "POST",
                "/v1/me/merge",
                "Merge another account of yours into this one, as previewed.",
                self._merge,
                body=wire.MergeConfirmation,
                answer=wire.MergeDone,
                errors=(MergeBlocked, MergeChanged, RateLimited),
            ),
            own(
                "GET",
                "/v1/me/merges",
                "List the accounts that were merged into yours.",
                self._list,
                answer=wire.Merges,
            ),
            own(
                "POST",
                "/v1/me/merges/{merge_id}/undo",
                "Undo a merge: both accounts are what they were.",
                self._undo,
                answer=wire.MergeUndone,
                errors=(MergeBlocked, MergeFinal, NotFound, SignInAgain, RateLimited),
            ),
        ]

    async def _preview(self, request: HttpRequest) -> wire.MergePreview:
        self._merges.require_allowed(request.who.user_id, self._now())
        return await self._merging.preview(request.who, request.body.access_token)

    async def _merge(self, request: HttpRequest) -> wire.MergeDone:
        self._merges.require_allowed(request.who.user_id, self._now())
        return await self._merging.merge(request.who, request.body.merge_token)

    async def _list(self, request: HttpRequest) -> wire.Merges:
        return await self._merging.list_of(request.who)

    async def _undo(self, request: HttpRequest) -> wire.MergeUndone:
        self._merges.require_allowed(request.who.user_id, self._now())
        merge_id = request.parse_path(wire.MergePath).merge_id
        return await self._merging.undo(request.who, merge_id)
