"""`GET /v1/me/export` and `DELETE /v1/me`."""

from collections.abc import Callable
from functools import partial
from typing import Final

from protocol.errors import NotConfirmed, Overloaded, RateLimited, SignInAgain, TooLarge
from protocol.profile import Erased, ErasureRequest
from server.domains.profiles.erasure import Erasure
from server.domains.profiles.export import Exports
from server.gateway.http import Endpoint, HttpRequest, Raw
from server.kernel.ratelimits import Rate, RateLimiter

TAG: Final = "profiles"
EXPORTS: Final = Rate(per_minute=1 / 60, burst=3)  # of one account
ERASURES: Final = Rate(per_minute=1, burst=5)  # that are tried, of one account

ZIP_HEADERS: Final = {
    "Content-Disposition": 'attachment; filename="playhall-my-data.zip"',
    "Cache-Control": "no-store",
}


class MyDataRoutes:
    """The addresses of one's own data; `now` gives monotonic seconds."""

    def __init__(self, *, exports: Exports, erasure: Erasure, now: Callable[[], float]) -> None:
        self._exports = exports
        self._erasure = erasure
        self._now = now
        self._exporting = RateLimiter(EXPORTS, "Too many exports")
        self._erasing = RateLimiter(ERASURES, "Too many attempts")

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        own = partial(Endpoint, auth="required", tag=TAG)
        return [
            own(
                "GET",
                "/v1/me/export",
                "Take along everything that is stored about you, as a ZIP file.",
                self._export,
                errors=(RateLimited, Overloaded, TooLarge),
            ),
            own(
                "DELETE",
                "/v1/me",
                "Erase your account, and your name wherever it stands.",
                self._erase,
                body=ErasureRequest,
                answer=Erased,
                errors=(NotConfirmed, SignInAgain, RateLimited),
            ),
        ]

    async def _export(self, request: HttpRequest) -> Raw:
        self._exporting.require(request.who.user_id, self._now())
        pieces = await self._exports.export(request.who.user_id)
        return Raw(pieces, "application/zip", headers=ZIP_HEADERS)

    async def _erase(self, request: HttpRequest) -> Erased:
        self._erasing.require(request.who.user_id, self._now())
        return Erased(player_id=await self._erasure.erase(request.who, request.body.confirm))
