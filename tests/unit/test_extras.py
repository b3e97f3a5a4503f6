"""What an install without extras can do: everything but what the extras are for."""

import subprocess
import sys

from server.core.extras import BLOCKCHAIN, IMAGES

# Nothing of the extras can be imported, as where it is not installed.
START_WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(
    ("eth_hash", "eth_keys", "eth_utils", "eth_typing", "PIL", "blurhash")
))
import server.cli, server.ops.epochs_cli, server.serving
from server.core.extras import BLOCKCHAIN, IMAGES
assert not BLOCKCHAIN.is_installed
assert not IMAGES.is_installed
"""


def test_server_and_commands_start_without_extras() -> None:
    assert BLOCKCHAIN.is_installed  # here, so that their tests run
    assert IMAGES.is_installed
    subprocess.run([sys.executable, "-c", START_WITHOUT], check=True)
