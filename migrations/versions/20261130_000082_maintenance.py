"""Fan-outs that fail, maintenance, and views without an account."""

from migrations.script import run_beside

revision = "20261130_000082"
down_revision = "20261130_000081"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
