"""Merging accounts with saves, an inventory, a ledger and quests."""

from migrations.script import run_beside

revision = "20261129_000061"
down_revision = "20261129_000060"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
