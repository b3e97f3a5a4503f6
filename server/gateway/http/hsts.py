"""HTTP Strict Transport Security (RFC 6797): browsers use only TLS once they have come over it.

Browsers ignore the header in an answer without TLS, so every answer can have it.
"""

from typing import Final

from aiohttp import web

HEADER: Final = "Strict-Transport-Security"


def install_hsts(app: web.Application, max_age_s: int) -> None:
    """Have browsers use TLS for this host for so many seconds after each answer."""
    value = f"max-age={max_age_s}"

    async def require_tls(_: web.Request, response: web.StreamResponse) -> None:
        response.headers[HEADER] = value

    app.on_response_prepare.append(require_tls)
