"""Accuracy on test data, of which cells of several runs may share one.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create evaluation, and let cells point to it."""
    op.create_table(
        "evaluation",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("artifact_id", sa.String, sa.ForeignKey("artifact.id"), nullable=False),
        sa.Column("test_digest", sa.String, nullable=False),
        sa.Column("evaluated_at", sa.String, nullable=False),
        sa.Column("error", sa.String),
        sa.Column("document", sa.String),
    )
    op.create_index("ix_evaluation_test_digest", "evaluation", ["test_digest"])
    # SQLite cannot add a foreign key to a table, only a column that comes with one.
    op.execute("ALTER TABLE cell ADD COLUMN evaluation_id INTEGER REFERENCES evaluation (id)")
