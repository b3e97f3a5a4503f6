"""The documentation as pages: each Markdown file of `docs/` at `/docs/<folder>/<name>`.

A file is rendered when it is first asked for, and kept. Markup in it stays text, so a document can
bring no script, and links to what is not served here are left out.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Final

from aiohttp import web
from markdown_it import MarkdownIt
from markdown_it.token import Token

from server.web.cached_page import CachedPage, serve_page

FOLDERS: Final = ("tutorial", "guides", "reference", "explanation", "operations", "decisions")
INDEX: Final = "README"
_OUTSIDE: Final = re.compile(r"(?:https?:|mailto:)")


def list_guides() -> dict[str, Path]:
    """Find the documents by their addresses."""
    root = _docs()
    found = {f"/docs/{_address(INDEX)}": root / f"{INDEX}.md"}
    for folder in FOLDERS:
        for file in sorted((root / folder).glob("*.md")):
            found[f"/docs/{folder}/{file.stem}"] = file
    return found


def add_guides(app: web.Application, headers: Mapping[str, str]) -> None:
    """Serve the documents."""
    for address, file in list_guides().items():
        app.router.add_get(address, _serve(address, file, headers))


def render_guide(address: str, text: str) -> tuple[str, str]:
    """Give the title and the markup of a document at an address."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    title = "Documentation"
    seen: dict[str, int] = {}
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            words = _plain(tokens[place + 1])
            token.attrSet("id", _slug(words, seen))
            if token.tag == "h1":
                title = words
        elif token.type == "table_open":
            token.attrSet("tabindex", "0")  # wide ones scroll, by keyboard as well
        elif token.type in ("th_open", "td_open"):
            token.attrs.pop("style", None)  # which the policy of the pages would refuse
        elif token.type == "inline":
            token.children = [*_linked(token.children or [], address)]
    page = markdown.renderer.render(tokens, markdown.options, {})
    return title, page.replace("<pre>", '<pre tabindex="0">')


def _linked(tokens: list[Token], address: str) -> list[Token]:
    """Have links lead to where the documents are served, and images be their descriptions."""
    kept: list[Token] = []
    dropped = 0  # how many links are open whose target is not served
    for token in tokens:
        if token.type == "image":
            kept.append(Token("text", "", 0, content=f"[{token.content}]"))
        elif token.type == "link_open":
            target = _target(str(token.attrGet("href") or ""), address)
            if target is None:
                dropped += 1
                continue
            token.attrSet("href", target)
            kept.append(token)
        elif token.type == "link_close" and dropped:
            dropped -= 1
        else:
            kept.append(token)
    return kept


def _target(link: str, address: str) -> str | None:
    """Say where a link of a document leads; None for what is not served."""
    if _OUTSIDE.match(link) or link.startswith("#"):
        return link
    path, _, anchor = link.partition("#")
    folder = (
        "" if address == f"/docs/{_address(INDEX)}" else dirname(address.removeprefix("/docs/"))
    )
    name = normpath(join(folder, path))
    if name in ("openapi.json", "asyncapi.json"):
        return f"/{name}"
    served = f"/docs/{_address(name.removesuffix('.md'))}"
    if not name.endswith(".md") or served not in _addresses():
        return None
    return f"{served}#{anchor}" if anchor else served


def _address(name: str) -> str:
    return "index" if name == INDEX else name


@cache
def _addresses() -> frozenset[str]:
    return frozenset(list_guides())


def _plain(inline: Token) -> str:
    return "".join(token.content for token in inline.children or [])


def _slug(words: str, seen: dict[str, int]) -> str:
    """Name a heading as links of the documents do: in lower case, with hyphens for spaces."""
    slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
    seen[slug] = seen.get(slug, 0) + 1
    return slug if seen[slug] == 1 else f"{slug}-{seen[slug] - 1}"


def _docs() -> Path:
    """Find the documents: beside this file in a wheel, in their own folder in a checkout."""
    here = Path(str(files(__package__)))
    packaged = here / "docs"  # put there by pyproject.toml's force-include
    return packaged if packaged.exists() else here.parents[1] / "docs"


def _serve(
    address: str, file: Path, headers: Mapping[str, str]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    @cache
    def page() -> CachedPage:
        title, content = render_guide(address, file.read_text("utf-8"))
        template = (Path(__file__).parent / "guide.html").read_text("utf-8")
        body = template.replace("{title}", escape(title)).replace("{content}", content).encode()
        return CachedPage(address, body, "text/html; charset=utf-8")

    async def serve(request: web.Request) -> web.Response:
        return serve_page(request, page(), headers)

    return serve
