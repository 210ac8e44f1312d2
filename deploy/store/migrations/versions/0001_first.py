"""The first tables.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create machine, artifact, run, cell and launch."""
    op.create_table(
        "machine",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("document", sa.String, nullable=False),
    )
    op.create_table(
        "artifact",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("manifest", sa.String, nullable=False),
        sa.Column("added_at", sa.String, nullable=False),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("plan_digest", sa.String, nullable=False),
        sa.Column("plan", sa.String, nullable=False),
        sa.Column("command", sa.String, nullable=False),
        sa.Column("started_at", sa.String, nullable=False),
        sa.Column("finished_at", sa.String),
        sa.Column("stopped", sa.String),
    )
    op.create_index("ix_run_plan_digest", "run", ["plan_digest"])
    op.create_table(
        "cell",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Integer, sa.ForeignKey("run.id"), nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("network", sa.String, nullable=False),
        sa.Column("runtime", sa.String, nullable=False),
        sa.Column("precision", sa.String, nullable=False),
        sa.Column("threads", sa.Integer, nullable=False),
        sa.Column("artifact_id", sa.String, sa.ForeignKey("artifact.id")),
        sa.Column("export_error", sa.String),
        sa.UniqueConstraint("run_id", "ordinal"),
    )
    op.create_table(
        "launch",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("cell_id", sa.Integer, sa.ForeignKey("cell.id"), nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("started_at", sa.String, nullable=False),
        sa.Column("duration_s", sa.Float, nullable=False),
        sa.Column("error", sa.String),
        sa.Column("machine_id", sa.String, sa.ForeignKey("machine.id")),
        sa.Column("comparability_digest", sa.String),
        sa.Column("comparability", sa.String),
        sa.Column("median_ns", sa.Float),
        sa.Column("sample_count", sa.Integer),
        sa.Column("steady", sa.Boolean),
        sa.Column("samples", sa.LargeBinary),
        sa.Column("profile", sa.LargeBinary),
        sa.Column("document", sa.String),
        sa.UniqueConstraint("cell_id", "action", "round"),
    )
