"""Inventory and economy: definitions, holdings, the ledger, the review queue."""

from migrations.script import run_beside

revision = "20261129_000040"
down_revision = "20261129_000035"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
