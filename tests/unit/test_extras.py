"""What an install without extras can do: everything but what the extras are for."""

import subprocess
import sys

import pytest
from pydantic import SecretStr

from persistence.database import Database
from persistence.errors import StartRefused
from persistence.rls import RlsDatabase
from server.config import Config
from server.core.clock import Clock
from server.core.extras import BLOCKCHAIN, IMAGES, STRIPE
from server.core.settings import SettingsReader
from server.core.tasks import Tasks
from server.domains.services import Services
from server.domains.social.subscriptions.domain import build as subscriptions
from server.domains.social.subscriptions.settings import SubscriptionsSettings

# Nothing of the extras can be imported, as where they are not installed.
START_WITHOUT = """
import sys
packages = ("eth_hash", "eth_keys", "eth_utils", "eth_typing", "stripe", "PIL", "blurhash")
sys.modules.update(dict.fromkeys(packages))
import server.cli, server.ops.epochs_cli, server.serving
from server.core.extras import BLOCKCHAIN, IMAGES, STRIPE
assert not BLOCKCHAIN.is_installed
assert not STRIPE.is_installed
assert not IMAGES.is_installed
"""


def test_server_and_commands_start_without_extras() -> None:
    assert BLOCKCHAIN.is_installed  # here, so that its tests run
    assert STRIPE.is_installed
    assert IMAGES.is_installed
    subprocess.run([sys.executable, "-c", START_WITHOUT], check=True)


async def test_a_key_of_stripe_without_its_library_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "stripe", None)
    settings = SubscriptionsSettings(
        key=SecretStr("sk_test"), webhook_secrets=SecretStr("whsec"), prices_creator="price"
    )
    database = Database.unopened()
    async with Tasks() as tasks:
        services = Services(
            Config(),
            database,
            RlsDatabase(database),
            "node",
            Clock(),
            tasks,
            {},
            settings=SettingsReader(settings),
        )
        with pytest.raises(StartRefused, match=r"playhall-server\[stripe\]"):
            subscriptions(services)
