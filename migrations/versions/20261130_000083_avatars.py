"""Avatars are seen by those who may see the person."""

from migrations.script import run_beside

revision = "20261130_000083"
down_revision = "20261130_000082"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
