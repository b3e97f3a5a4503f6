"""Say how busy each node is."""

from migrations.script import run_beside

revision = "20261130_000131"
down_revision = "20261130_000120"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
