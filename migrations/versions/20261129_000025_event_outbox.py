"""Domain events that must not be lost, written with what caused them."""

from migrations.script import run_beside

revision = "20261129_000025"
down_revision = "20261129_000024"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
