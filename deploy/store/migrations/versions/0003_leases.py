"""Who works with which device, and until when.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create lease."""
    op.create_table(
        "lease",
        sa.Column("device", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
