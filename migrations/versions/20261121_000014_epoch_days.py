"""Days that run: the movable clock, votes that are events, the first profile."""

from migrations.script import run_beside

revision = "20261121_000014"
down_revision = "20261121_000013"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
