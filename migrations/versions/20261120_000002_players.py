"""Players: people, guests and bots."""

from migrations.script import run_beside

revision = "20261120_000002"
down_revision = "20261120_000001"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
