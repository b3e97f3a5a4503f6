"""Messages of companions and notifications, partitioned by month."""

from migrations.script import run_beside

revision = "20261130_000078"
down_revision = "20261130_000077"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
