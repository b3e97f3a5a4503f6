"""Names of blueprints: the rule is stored, so that a setting can change it."""

from migrations.script import run_beside

revision = "20261129_000027"
down_revision = "20261129_000026"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
