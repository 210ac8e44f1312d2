"""How many instructions a file executes.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create count."""
    op.create_table(
        "count",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("artifact_id", sa.String, sa.ForeignKey("artifact.id"), nullable=False),
        sa.Column("setting", sa.String, nullable=False),
        sa.Column("instructions", sa.BigInteger, nullable=False),
        sa.Column("counted_at", sa.String, nullable=False),
    )
    op.create_index("ix_count_artifact_id", "count", ["artifact_id"])
