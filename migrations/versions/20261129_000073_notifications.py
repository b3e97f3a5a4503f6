"""Notifications: numbers in the order of commits, fan-out, announcements and digests."""

from migrations.script import run_beside

revision = "20261129_000073"
down_revision = "20261129_000072"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
