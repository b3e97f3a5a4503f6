"""Note changes of published tables, and say who may read them."""

from migrations.script import run_beside

revision = "20261130_000170"
down_revision = "20261130_000166"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
