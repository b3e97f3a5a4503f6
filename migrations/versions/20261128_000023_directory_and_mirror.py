"""The directory of running games, and days that are mirrored from another system as they go."""

from migrations.script import run_beside

revision = "20261128_000023"
down_revision = "20261128_000022"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
