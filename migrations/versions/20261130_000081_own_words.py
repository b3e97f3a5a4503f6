"""Comments: a person can take back their own words, also where a block hides the creation."""

from migrations.script import run_beside

revision = "20261130_000081"
down_revision = "20261130_000080"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
