"""Blueprints: designs that people make, share and fork."""

from migrations.script import run_beside

revision = "20261121_000010"
down_revision = "20261121_000009"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
