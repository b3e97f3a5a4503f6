"""Collaborators on creations, days of creations for their owners, and recommendations."""

from migrations.script import run_beside

revision = "20261130_000080"
down_revision = "20261130_000078"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
