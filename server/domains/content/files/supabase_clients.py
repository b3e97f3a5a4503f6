"""Authentication and error responses of `/storage/v1`."""

import orjson
from aiohttp import web

from persistence.rls import Requester
from protocol.errors import Forbidden, PlayhallError
from protocol.files import FileTaken
from server.gateway.http.endpoints import Authenticate
from server.gateway.supabase_keys import ApiClient, ApiKeys


class StorageClients:
    """Authenticates requests."""

    def __init__(self, keys: ApiKeys, authenticate: Authenticate) -> None:
        self._keys = keys
        self._authenticate = authenticate

    async def client(self, request: web.Request) -> ApiClient:
        """Say who may read; raise `BadToken`, `TokenExpired`, `Banned` or `Forbidden`."""
        client = await self._keys.identify(request.headers, request.query, self._authenticate)
        if client.role == "service_role":
            raise Forbidden("The service key opens no files; use a person's token.")
        return client

    async def person(self, request: web.Request) -> Requester:
        """Say who may write; raise what `client` raises."""
        requester = (await self.client(request)).requester
        if requester is None:
            raise Forbidden("Sign in to do this; the anonymous key only reads.")
        return requester


def error_response(error: PlayhallError) -> web.Response:
    """Answer as Supabase's storage does."""
    status = 400 if error.status == 422 else error.status
    name = "Duplicate" if isinstance(error, FileTaken) else error.wire_code
    body = {"statusCode": str(status), "error": name, "message": error.message}
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return web.Response(
        body=orjson.dumps(body), status=status, content_type="application/json", headers=headers
    )
