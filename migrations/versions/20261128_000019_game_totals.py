"""How many games ended and how many events they have, kept as they end."""

from migrations.script import run_beside

revision = "20261128_000019"
down_revision = "20261128_000017"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
