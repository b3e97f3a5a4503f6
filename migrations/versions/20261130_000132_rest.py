"""Carry out a statement of the REST interface in one round trip."""

from migrations.script import run_beside

revision = "20261130_000132"
down_revision = "20261130_000131"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
