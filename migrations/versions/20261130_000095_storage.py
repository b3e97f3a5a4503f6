"""Small objects that titles keep for players and games."""

from migrations.script import run_beside

revision = "20261130_000095"
down_revision = "20261130_000093"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
