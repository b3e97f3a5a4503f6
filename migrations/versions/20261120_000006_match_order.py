"""The order in which matches entered the statistics."""

from migrations.script import run_beside

revision = "20261120_000006"
down_revision = "20261120_000005"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
