"""Files: what was uploaded, by whom, and where it lies."""

from migrations.script import run_beside

revision = "20261121_000011"
down_revision = "20261121_000010"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
