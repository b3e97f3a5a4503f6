"""Rematches that players agree on, and series of games."""

from migrations.script import run_beside

revision = "20261130_000093"
down_revision = "20261130_000092"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
