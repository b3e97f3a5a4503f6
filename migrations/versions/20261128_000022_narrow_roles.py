"""Take from people's roles what PostgreSQL gives to everybody and nobody here needs."""

from migrations.script import run_beside

revision = "20261128_000022"
down_revision = "20261128_000021"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
