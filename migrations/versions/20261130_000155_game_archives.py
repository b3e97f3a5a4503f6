"""Let a game's events go once its log is archived."""

from migrations.script import run_beside

revision = "20261130_000155"
down_revision = "20261130_000150"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
