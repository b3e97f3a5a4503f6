"""Ratings of players, and the games that changed them."""

from migrations.script import run_beside

revision = "20261130_000091"
down_revision = "20261130_000090"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
