"""The unmodified client of The Update Framework against a node that is not to be trusted."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.ngclient import Updater

from persistence.sealing import Seal, SealingKey
from protocol.ids import new_id
from server.domains.progression.packages.service import PackageService, reseal_signing_keys
from tests.integration.packages.conftest import Json, Studio, prose

CONTENT = prose(3)


class Client:
    """A game's updater; it ships with the first root."""

    def __init__(self, studio: Studio, folder: Path) -> None:
        self._url = str(studio.node.http._base_url).rstrip("/") + "/v1/content/tuf"
        self._folder = folder
        self._bootstrap: bytes | None = None
        self._studio = studio

    async def _updater(self) -> Updater:
        if self._bootstrap is None:
            _, self._bootstrap = await self._studio.get("/v1/content/tuf/metadata/1.root.json")
        for name in ("metadata", "targets"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        return Updater(
            metadata_dir=str(self._folder / "metadata"),
            metadata_base_url=f"{self._url}/metadata/",
            target_dir=str(self._folder / "targets"),
            target_base_url=f"{self._url}/targets/",
            bootstrap=self._bootstrap,
        )

    async def refresh(self) -> Updater:
        updater = await self._updater()
        await asyncio.to_thread(updater.refresh)
        return updater

    async def download(self, package: Json) -> bytes | None:
        """Verify and download a package; None if the metadata does not list it."""
        updater = await self.refresh()
        target = "{name}/{channel}/{locale}/{version}.pkg".format(**package)
        info = await asyncio.to_thread(updater.get_targetinfo, target)
        if info is None:
            return None
        path = await asyncio.to_thread(
            updater.download_target, info, str(self._folder / "targets" / new_id())
        )
        return await asyncio.to_thread(Path(path).read_bytes)


@pytest.fixture
def client(studio: Studio, tmp_path: Path) -> Client:
    return Client(studio, tmp_path)


def _service(studio: Studio) -> PackageService:
    routes = next(d for d in studio.node.app.domains if d.name == "packages").endpoints
    service = next(e for e in routes if e.path.endswith("/release")).handler.__self__._service  # type: ignore[attr-defined]
    assert isinstance(service, PackageService)
    return service


async def _dated(studio: Studio, ago: timedelta) -> None:
    """Sign everything anew as it was some time ago."""
    signer = studio.maintenance._signer
    clock = signer._clock
    real = clock.now
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: real() - ago)
        async with studio.store.begin_release() as work:
            await signer.sign(work, released=None, rotate="timestamp")


async def test_release_is_verified_and_withdrawal_takes_it_from_the_list(
    studio: Studio, client: Client
) -> None:
    package = await studio.release(CONTENT)
    assert await client.download(package) == CONTENT
    newer = await studio.release(CONTENT + b"!", name=package["name"], version="1.1.0")
    assert await client.download(newer) == CONTENT + b"!"
    await studio.act(newer, "withdraw", {"reason": "No."})
    assert await client.download(newer) is None
    assert await client.download(package) == CONTENT


async def test_tampered_bytes_and_metadata_are_noticed(studio: Studio, client: Client) -> None:
    package = await studio.release(CONTENT)
    (row,) = await studio.run(
        "SELECT key FROM content_packages WHERE package_id = $1", package["package_id"]
    )
    objects = studio.node.app.services.objects
    await objects.put(row["key"], CONTENT[:-1] + b"?")
    with pytest.raises((RepositoryError, DownloadError)):
        await client.download(package)
    await objects.put(row["key"], CONTENT)
    assert await client.download(package) == CONTENT
    # Metadata that lists something else, and was not signed by us.
    other = await studio.release(CONTENT, name=new_id())
    (row,) = await studio.run(
        "SELECT version, body FROM content_metadata WHERE role = 'targets'"
        " ORDER BY version DESC LIMIT 1"
    )
    forged = row["body"].replace(other["name"].encode(), new_id().encode())
    await _serve(studio, "targets", row["version"], forged)
    with pytest.raises(RepositoryError):
        await client.download(other)
    await _serve(studio, "targets", row["version"], row["body"])
    assert await client.download(other) == CONTENT


async def test_older_metadata_is_noticed(studio: Studio, client: Client) -> None:
    """Rollback: whoever serves an earlier state, all of it signed, is found out."""
    await studio.release(CONTENT)
    _, old = await studio.get("/v1/content/tuf/metadata/timestamp.json")
    package = await studio.release(CONTENT)
    await client.refresh()
    _, new = await studio.get("/v1/content/tuf/metadata/timestamp.json")
    version = orjson.loads(new)["signed"]["version"]
    await _serve(studio, "timestamp", version, old)
    with pytest.raises(BadVersionNumberError):
        await client.refresh()
    await _serve(studio, "timestamp", version, new)
    assert await client.download(package) == CONTENT


async def test_metadata_that_is_no_longer_renewed_expires(studio: Studio, client: Client) -> None:
    """Freeze: a client that is kept from newer metadata notices within the timestamp's life."""
    await studio.release(CONTENT)
    await client.refresh()
    await _dated(studio, timedelta(days=3))
    with pytest.raises(ExpiredMetadataError):
        await client.refresh()
    # The job of any node signs it anew, once, however many look.
    renewed = await asyncio.gather(studio.maintenance.renew(), studio.maintenance.renew())
    assert sorted(renewed) == [False, True]
    await client.refresh()


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
async def test_key_of_each_role_is_rotated_and_clients_follow(
    studio: Studio, client: Client, role: Any
) -> None:
    package = await studio.release(CONTENT)
    await client.refresh()
    service = _service(studio)
    key_id = await service.rotate_key(role, actor="console")
    assert await client.download(package) == CONTENT
    newer = await studio.release(CONTENT, name=package["name"], version="2.0.0")
    assert await client.download(newer) == CONTENT
    (act,) = await studio.run(
        "SELECT after FROM audit_log WHERE action = 'content_rotate_key' AND target = $1", role
    )
    assert key_id in str(act["after"])


async def test_keys_are_sealed_and_sealed_anew(studio: Studio) -> None:
    await studio.release(CONTENT)
    seal = studio.node.app.services.interfaces.get(Seal)
    before = await studio.store.list_signing_keys()
    assert all(b"PRIVATE" not in key.sealed for key in before)
    assert await reseal_signing_keys(studio.store, seal) == 0
    old = seal._keys[0]
    newer = Seal(lambda: [SealingKey.generate(), old])
    assert await reseal_signing_keys(studio.store, newer) == len(before)
    back = Seal(lambda: [old, *newer._keys[:1]])
    assert await reseal_signing_keys(studio.store, back) == len(before)


async def test_names_of_metadata_that_are_none_are_not_found(studio: Studio) -> None:
    await studio.release(CONTENT)
    for name in ("0.root.json", "999.root.json", "mirrors.json", "root", "1.root.json%2f.."):
        answer, _ = await studio.get(f"/v1/content/tuf/metadata/{name}")
        assert answer.status == 404, name
    for path in ("x", "../../secret.key", "a/stable/und/" + "0" * 64 + ".1.0.0.pkg"):
        answer, _ = await studio.get(f"/v1/content/tuf/targets/{path}")
        assert answer.status == 404, path


async def _serve(studio: Studio, role: str, version: int, body: bytes) -> None:
    """Serve something else in the place of signed metadata."""
    await studio.run("DELETE FROM content_metadata WHERE role = $1 AND version = $2", role, version)
    await studio.run(
        "INSERT INTO content_metadata (role, version, body, expires_at)"
        " VALUES ($1, $2, $3, now() + interval '9 d')",
        role,
        version,
        body,
    )
