"""The Compose file, as far as it can be checked without containers.

`data/compose-spec.json` is the schema of the Compose specification (Apache License 2.0).
"""

import json
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
import yaml  # type: ignore[import-untyped]

from server.config import Config
from server.core.settings import variable_names
from server.domains.settings import included_settings

ROOT: Final = Path(__file__).parents[3]
DEPLOY: Final = ROOT / "deploy"
SCHEMA: Final = Path(__file__).with_name("data") / "compose-spec.json"
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: Final[dict[str, Any]] = COMPOSE["services"]
OURS: Final = {
    f"{service}: {name}": (name, str(value))
    for service, described in SERVICES.items()
    for name, value in described.get("environment", {}).items()
    if name.startswith("PLAYHALL_")
}
PAGE: Final = (ROOT / "docs" / "guides" / "compose.md").read_text()


def ports(service: str) -> set[int]:
    """Those inside a container that are open outside."""
    published = SERVICES[service].get("ports", [])
    assert all(each.startswith("127.0.0.1:") for each in published), "this machine only"
    return {int(each.rpartition(":")[2]) for each in published}


def test_file_is_one_of_compose() -> None:
    jsonschema_rs.validator_for(json.loads(SCHEMA.read_text())).validate(COMPOSE)


def test_images_are_pinned_or_ours() -> None:
    for described in SERVICES.values():
        image, _, tag = described["image"].rpartition(":")
        if image == "playhall":
            assert (DEPLOY.parent / described["build"]["dockerfile"]).is_file()
        else:
            assert re.match(r"v?\d+\.\d+", tag), described["image"]


def test_what_is_mounted_copied_and_waited_for_is_there() -> None:
    for described in SERVICES.values():
        for volume in described.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).is_file() or source in COMPOSE["volumes"]
        assert described.get("depends_on", {}).keys() <= SERVICES.keys()
        shared = described.get("network_mode", "service:server").removeprefix("service:")
        assert shared in SERVICES
    sources = re.findall(r"^COPY (?!--from)(\S+) ", (DEPLOY / "Dockerfile").read_text(), re.M)
    allowed = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.M)
    assert all((ROOT / source).exists() for source in [*sources, *allowed])


@pytest.mark.parametrize("where", OURS)
def test_every_variable_is_a_setting(where: str) -> None:
    known = {name for model in (Config, *included_settings()) for name in variable_names(model)}
    assert OURS[where][0] in known


def test_settings_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES["server"]["environment"].items():
        monkeypatch.setenv(name, value)
    for model in (Config, *included_settings()):
        model()
    assert Config().port in ports("server")


def test_addresses_lead_to_services_that_listen_there() -> None:
    standard = {"postgresql": 5432}
    for name, value in OURS.values():
        if not name.endswith("_URL") or name == "PLAYHALL_PUBLIC_URL":
            continue
        url = urlsplit(value)
        assert (url.port or standard[url.scheme]) in ports(str(url.hostname)), value
    [issuer] = json.loads(OURS["server: PLAYHALL_OIDC_PROVIDERS"][1])
    port = urlsplit(issuer["issuer"]).port
    assert port == int(SERVICES["oidc"]["environment"]["SERVER_PORT"])
    assert port in ports("server"), "whose network it shares"


def test_logins_are_those_that_the_database_is_made_with() -> None:
    made = dict(
        re.findall(
            r"CREATE ROLE (\w+) LOGIN.* PASSWORD '(\w+)'",
            (DEPLOY / "postgres-init.sql").read_text(),
        )
    )
    made["postgres"] = SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"]
    used = re.findall(r"postgresql://(\w+):(\w+)@", (DEPLOY / "compose.yaml").read_text())
    assert set(used) == set(made.items())


def test_page_names_every_open_port() -> None:
    for service, described in SERVICES.items():
        for port in described.get("ports", ()):
            number = port.split(":")[1]
            assert f":{number}" in PAGE, f"{service} {number}"
