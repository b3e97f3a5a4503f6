"""Achievements of players, and the games that were counted for them."""

from migrations.script import run_beside

revision = "20261130_000097"
down_revision = "20261130_000096"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
