"""People: deactivated accounts, discovery, and what is known of subscriptions."""

from migrations.script import run_beside

revision = "20261130_000074"
down_revision = "20261129_000073"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
