"""Totals over a player's games that exceed 32 bits."""

from migrations.script import run_beside

revision = "20261129_000024"
down_revision = "20261128_000023"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
