"""Write the changes of many lobbies in a statement, which waits for nobody's lock."""

from migrations.script import run_beside

revision = "20261130_000190"
down_revision = "20261130_000185"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
