"""Keep the parts of uploads that can be resumed."""

from migrations.script import run_beside

revision = "20261130_000166"
down_revision = "20261130_000165"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
