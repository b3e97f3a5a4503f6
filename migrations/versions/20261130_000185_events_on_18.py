"""Make events cheaper to append where PostgreSQL is 18 or newer."""

from migrations.script import run_beside

revision = "20261130_000185"
down_revision = "20261130_000180"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
