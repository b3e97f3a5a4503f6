"""What the version modules share: running the SQL that lies beside them."""

from pathlib import Path
from typing import Literal

from alembic import op


def run_beside(version: str, direction: Literal["up", "down"]) -> None:
    """Execute `<version>.up.sql` or `.down.sql`, given the version module's `__file__`."""
    sql = Path(version).with_suffix(f".{direction}.sql").read_text("utf-8")
    # Straight to the driver: a file is many statements, and its `%` and `:` are its own.
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    driver.execute(sql)
