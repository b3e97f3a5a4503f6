"""Row level security: policies on every table, forced."""

from migrations.script import run_beside

revision = "20261121_000007"
down_revision = "20261120_000006"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
