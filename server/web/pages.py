"""The pages at their addresses, under a strict content security policy.

They are the files of `static/`, the JavaScript client, the views that rulesets bring, and the
documentation.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from aiohttp import web

from server.core.addresses import is_origin, normalize_origin
from server.web.cached_page import CachedPage, serve_page
from server.web.guides import add_guides

# The names of the pages; every other file is at `/static/<name>`. A page whose address has a
# parameter is one file for all of its values: its script reads `location.pathname`.
PAGES: Final = {
    "start.html": "/",
    "docs.html": "/docs",
    "account.html": "/account",
    "confirm.html": "/account/confirm",
    "lobbies.html": "/lobbies",
    "peers.html": "/peers",
    "play.html": "/play/{game}",
    "unsubscribe.html": "/notifications/unsubscribe",
    "replay.html": "/replay/{game}",
    "watch.html": "/watch/{game}",
    "players.html": "/players/{player}",
    "people.html": "/people/{person}",
    "leaderboards.html": "/leaderboards",
    "epochs.html": "/epochs",
    "epoch.html": "/epochs/{day}",
    "creations.html": "/creations",
    "creation.html": "/creations/{creation}",
    "companions.html": "/companions",
    "me.html": "/me",
    "admin.html": "/admin",
}

CONTENT_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Kept, but asked for again each time: after an update nobody sees half of the old pages.
    "Cache-Control": "no-cache",
}


SDK: Final = "/sdk/playhall.js"
# The view of every other ruleset; the last one, as the first address that fits is served.
ANY_VIEW: Final = "/rulesets/{ruleset}.js"


def load_pages(views: Mapping[str, Path] | None = None) -> list[CachedPage]:
    """Read all files; `views` are those that rulesets bring, by the ruleset's name."""
    found = sorted((files(__package__) / "static").iterdir(), key=lambda file: file.name)
    pages = [
        _page(PAGES.get(file.name, f"/static/{file.name}"), file.name, file.read_bytes())
        for file in found
    ]
    outside = {
        SDK: _sdk(),
        **{f"/rulesets/{name}.js": file for name, file in (views or {}).items()},
        ANY_VIEW: Path(str(files(__package__) / "static" / "table.js")),
    }
    return [*pages, *(_page(at, file.name, file.read_bytes()) for at, file in outside.items())]


def _sdk() -> Path:
    """Find the JavaScript client: beside this file in a wheel, in its own folder in a checkout."""
    here = Path(__file__).parent
    packaged = here / "sdk" / "playhall.js"  # put there by pyproject.toml's force-include
    return packaged if packaged.exists() else here.parents[1] / "clients" / "js" / "playhall.js"


def add_pages(
    app: web.Application,
    views: Mapping[str, Path] | None = None,
    origins: Iterable[str] = (),
) -> None:
    """Serve the pages; a file that a browser has is answered with 304.

    They may open websockets at `origins` as well: with several nodes, a game may be on another one.
    """
    headers = {**HEADERS, "Content-Security-Policy": _policy(origins)}
    add_guides(app, headers)
    for page in load_pages(views):
        app.router.add_get(page.address, _serve(page, headers))


def _policy(origins: Iterable[str]) -> str:
    sockets = [
        normalize_origin(origin).replace("http", "ws", 1)
        for origin in origins
        if is_origin(origin)  # `*` names nobody
    ]
    policy = HEADERS["Content-Security-Policy"]
    return policy.replace("connect-src 'self'", " ".join(["connect-src 'self'", *sockets]))


def _page(address: str, name: str, body: bytes) -> CachedPage:
    content_type = CONTENT_TYPES[name.rpartition(".")[2]]
    return CachedPage(address, body, content_type)


def _serve(
    page: CachedPage, headers: Mapping[str, str]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        return serve_page(request, page, headers)

    return serve
