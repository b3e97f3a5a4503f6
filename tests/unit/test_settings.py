"""Settings: whose each is, when it is read, and how a bad one is reported."""

from pathlib import Path

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from compiled.loader import SWITCH
from persistence.database import Database
from persistence.errors import StartRefused
from persistence.rls import RlsDatabase
from server.app import App
from server.config import Config
from server.core.clock import Clock
from server.core.settings import S, Settings, SettingsReader, read_settings, unread_variables
from server.core.tasks import Tasks
from server.domains.contract import Build, Domain
from server.domains.play.games.settings import GameSettings
from server.domains.services import Services
from server.domains.settings import included_settings, read_included
from tests.fixtures.shell import playhall


class Recording(SettingsReader):
    """Notes which settings were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[type] = set()

    def __call__(self, model: type[S]) -> S:
        self.asked.add(model)
        return super().__call__(model)


async def built(settings: SettingsReader, *titles: Build) -> App:
    """Build a node's domains, without a database that answers."""
    async with Tasks() as tasks:
        database = Database.unopened()
        services = Services(
            Config(),
            database,
            RlsDatabase(database),
            "n1",
            Clock(),
            tasks,
            {},
            titles=titles,
            settings=settings,
        )
        return App(services)


async def test_a_domain_reads_the_class_that_it_declares_and_that_is_found_at_the_start() -> None:
    settings = Recording()
    app = await built(settings)
    declared = [domain.settings for domain in app.domains if domain.settings is not None]
    assert set(declared) == settings.asked == set(included_settings())
    assert len(declared) == len(set(declared))
    assert all(model.model_config["frozen"] for model in (Config, *declared))


async def test_a_package_cannot_take_the_variable_of_another_domain() -> None:
    class Ours(Settings):
        lease_s: float = 1.0

    with pytest.raises(StartRefused, match="'chess' has the setting PLAYHALL_LEASE_S, which is"):
        await built(SettingsReader(), lambda _: Domain(name="chess", settings=Ours))


def test_what_is_given_is_used_and_the_rest_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given = GameSettings(writers=3)
    assert SettingsReader(given)(GameSettings) is given
    monkeypatch.setenv("PLAYHALL_WRITERS", "5")
    settings = read_included()
    monkeypatch.setenv("PLAYHALL_WRITERS", "6")
    assert settings(GameSettings).writers == 5


def test_a_bad_value_is_told_with_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Chess(Settings):
        model_config = SettingsConfigDict(env_prefix="PLAYHALL_CHESS_")
        openings: list[str] = Field(default_factory=list)

    monkeypatch.setenv("PLAYHALL_CHESS_OPENINGS", "Sicilian")
    with pytest.raises(StartRefused, match=r"PLAYHALL_CHESS_… must be JSON: .*openings"):
        read_settings(Chess)


def test_a_short_secret_is_refused_with_the_length_that_it_needs() -> None:
    with pytest.raises(StartRefused, match="SECRET: It must have at least 32 characters, not 5"):
        read_settings(Config, supabase_api_secret="short")


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_bad_setting_of_a_domain_ends_a_command_before_it_does_anything(
    tmp_path: Path, command: str
) -> None:
    folder = tmp_path / "data"
    environment = {"PLAYHALL_DATA_DIR": str(folder), "PLAYHALL_XP_PER_GAME": "-1"}
    done = playhall(command, environment=environment)
    done.assert_plain()
    assert done.status == 1
    assert "PLAYHALL_XP_PER_GAME: Input should be greater than or equal to 0." in done.said
    assert not folder.exists()


def test_the_switch_of_the_compiled_build_is_no_misspelled_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SWITCH, "")
    monkeypatch.setenv(f"{SWITCH}_", "")
    assert f"{SWITCH}_" in unread_variables(())
    assert SWITCH not in unread_variables(())
