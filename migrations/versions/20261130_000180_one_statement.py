"""Complete a game, open a lobby and change one in a statement each."""

from migrations.script import run_beside

revision = "20261130_000180"
down_revision = "20261130_000170"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
