"""Lock creations before people everywhere, so that an erasure waits in no ring."""

from migrations.script import run_beside

revision = "20261130_000099"
down_revision = "20261130_000098"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
