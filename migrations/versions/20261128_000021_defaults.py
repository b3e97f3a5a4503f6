"""Defaults and triggers for what plain INSERTs of the specified columns leave out."""

from migrations.script import run_beside

revision = "20261128_000021"
down_revision = "20261128_000019"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
