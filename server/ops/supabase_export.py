"""`data.sql` and the files that a Supabase project is given."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import orjson

from persistence.errors import StartRefused
from persistence.objects import ObjectStorage
from persistence.private_files import make_folder
from persistence.sealing import Seal
from persistence.supabase.export import TABLES, ExportedMethod, ExportedUser, SupabaseExport
from server.domains.people.accounts.codes import EMAIL
from server.domains.people.accounts.sealed import method_context

INSTANCE: Final = "00000000-0000-0000-0000-000000000000"
FOR_GOOD: Final = datetime(9999, 12, 31, tzinfo=UTC)
USER_COLUMNS: Final = (
    "instance_id",
    "id",
    "aud",
    "role",
    "email",
    "encrypted_password",
    "email_confirmed_at",
    "raw_app_meta_data",
    "raw_user_meta_data",
    "is_anonymous",
    "banned_until",
    "created_at",
    "updated_at",
    # What GoTrue reads as texts, and cannot where they are null.
    "confirmation_token",
    "recovery_token",
    "email_change",
    "email_change_token_new",
)
IDENTITY_COLUMNS: Final = (
    "provider_id",
    "user_id",
    "identity_data",
    "provider",
    "last_sign_in_at",
    "created_at",
    "updated_at",
)


async def write_export(
    export: SupabaseExport, objects: ObjectStorage, seal: Seal, folder: Path, *, url: str
) -> Counter[str]:
    """Write everything below a new folder; raise `StartRefused` if it is there."""
    _make_new(folder)
    counts: Counter[str] = Counter()
    with _open_new(folder / "data.sql") as out:
        out.write(_HEAD)
        await _write_users(export, seal, out, counts)
        files_at = f"{url}/storage/v1/object/public/" if url else "/files/"
        for table in TABLES:
            counts[table] = await _write_table(export, table, files_at, out)
        out.write(b"COMMIT;\n")
    async for file in export.iterate_files():
        with _open_new(folder / "files" / file.bucket / file.path) as target:
            async for chunk in await objects.read(file.key, 0, file.size):
                target.write(chunk)
        counts["files"] += 1
    return counts


def _make_new(folder: Path) -> None:
    if folder.exists():
        raise StartRefused(f"{folder} is there already; name a folder that is not.")
    make_folder(folder)


def _open_new(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")


async def _write_users(
    export: SupabaseExport, seal: Seal, out: IO[bytes], counts: Counter[str]
) -> None:
    methods = await export.read_methods()
    identities: list[tuple[Any, ...]] = []
    out.write(_copy("auth.users", USER_COLUMNS))
    async for user in export.iterate_users():
        found = methods.get(user.user_id, [])
        opened = {method.kind: _open(seal, method) for method in found}
        out.write(_line(_user(user, found, opened)))
        identities += [_identity(method, opened[method.kind]) for method in found]
        counts["accounts"] += 1
    out.write(_END)
    out.write(_copy("auth.identities", IDENTITY_COLUMNS))
    for identity in identities:
        out.write(_line(identity))
    out.write(_END)


async def _write_table(export: SupabaseExport, table: str, files_at: str, out: IO[bytes]) -> int:
    async def write(data: bytes) -> None:
        out.write(data)

    out.write(_copy(f"public.{table}", await export.read_columns(table)))
    count = await export.copy(table, files_at, write)
    out.write(_END)
    return count


def _open(seal: Seal, method: ExportedMethod) -> str:
    about = method_context(method.kind, method.user_id)
    return seal.open(method.sealed, about=about).decode()


def _user(
    user: ExportedUser, methods: list[ExportedMethod], opened: dict[str, str]
) -> tuple[Any, ...]:
    kinds = [method.kind for method in methods]
    by_email = next((method for method in methods if method.kind == EMAIL), None)
    app_data = {**orjson.loads(user.app_data), "providers": kinds}
    if kinds:
        app_data["provider"] = kinds[0]
    return (
        INSTANCE,
        user.user_id,
        "authenticated",
        "authenticated",
        opened.get(EMAIL),
        by_email and by_email.password_hash,
        by_email and by_email.linked_at,
        orjson.dumps(app_data).decode(),
        user.user_data.decode(),
        user.is_anonymous,
        (user.banned_until or FOR_GOOD) if user.is_banned else None,
        user.created_at,
        user.updated_at,
        "",
        "",
        "",
        "",
    )


def _identity(method: ExportedMethod, text: str) -> tuple[Any, ...]:
    name, _, label = text.partition(" ")
    if method.kind == EMAIL:
        data: dict[str, Any] = {"sub": method.user_id, "email": name, "email_verified": True}
    else:
        data = {"sub": name, "name": label}
    times = (method.linked_at, method.linked_at, method.linked_at)
    return (data["sub"], method.user_id, orjson.dumps(data).decode(), method.kind, *times)


def _copy(table: str, columns: tuple[str, ...] | list[str]) -> bytes:
    return f"COPY {table} ({', '.join(columns)}) FROM stdin;\n".encode()


def _line(values: tuple[Any, ...]) -> bytes:
    """Write a row as COPY reads it."""
    return "\t".join(map(_field, values)).encode() + b"\n"


def _field(value: Any) -> str:
    if value is None:
        return r"\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    for character, written in (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r")):
        text = text.replace(character, written)
    return text


_END: Final = b"\\.\n\n"
# Triggers of the project would make profiles, and count again what is counted.
_HEAD: Final = b"""-- Load it with psql into a Supabase project that has the tables and no rows.
BEGIN;
SET LOCAL session_replication_role = replica;

"""
