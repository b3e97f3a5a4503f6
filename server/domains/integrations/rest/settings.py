"""What the REST interface exposes, and how much of the database a role may use."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from server.core.settings import Settings, split_names

TimeoutS = Annotated[float, Field(ge=0.1, le=15)]


def _schemas(listed: str) -> str:
    names = split_names(listed)
    for name in names:
        if name.startswith(("pg_", "playhall_")) or name in ("auth", "information_schema"):
            raise PydanticCustomError(
                "schema", "{name} is never exposed; leave it out", {"name": name}
            )
    if not names:
        raise PydanticCustomError("schema", "name at least one schema, such as public")
    return listed


class RestSettings(Settings):
    """The REST interface; it is served only where `PLAYHALL_SUPABASE_API_SECRET` is set."""

    rest_schemas: Annotated[str, AfterValidator(_schemas)] = Field(
        default="public", description="Exposed schemas, comma separated; the first is the default."
    )
    rest_functions: str = Field(
        default="",
        description="More functions of the first schema to expose, comma separated; * for all.",
    )
    rest_writable_tables: str = Field(
        default="",
        description="More tables of the first schema that people may change; * for all.",
    )
    rest_rows_max: Annotated[int, Field(ge=1, le=100_000)] = 1000
    rest_service_rows_max: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    rest_requests_per_minute: Annotated[float, Field(gt=0)] = 3000.0
    rest_requests_burst: Annotated[float, Field(ge=1)] = 300.0
    rest_anonymous_timeout_s: TimeoutS = 3.0
    rest_user_timeout_s: TimeoutS = 8.0
    rest_service_timeout_s: TimeoutS = 15.0
    rest_service_database_url: SecretStr | None = Field(
        default=None,
        description="The same database for a login that is granted service_role, for that key.",
    )
