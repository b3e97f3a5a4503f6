"""Roles of people who look after others or make content: support and editor."""

from migrations.script import run_beside

revision = "20261129_000033"
down_revision = "20261129_000028"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
