"""Which commit of the user's repository a run measured.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add run.revision."""
    op.add_column("run", sa.Column("revision", sa.String))
    op.create_index("ix_run_revision", "run", ["revision"])
