"""The tables of the store, as the newest migration leaves them.

    machine ◀── launch ──▶ cell ──▶ run
                           │   │
                           ▼   ▼
                  evaluation ──▶ artifact ◀── count

A row is written once, and committed as soon as it exists. Values cross as the JSON of their
dataclass (``document``); the columns beside it are what queries ask for. Durations are
nanoseconds, times UTC in ISO 8601.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

REVISION = "0006"  # of the newest migration

metadata = MetaData()

machine = Table(
    "machine",
    metadata,
    Column("id", String, primary_key=True, comment="sha256 of the document"),
    Column("document", String, nullable=False, comment="Machine"),
)

artifact = Table(
    "artifact",
    metadata,
    Column("id", String, primary_key=True, comment="Artifact.id; its folder is artifacts/<id>"),
    Column("manifest", String, nullable=False, comment="Manifest"),
    Column("added_at", String, nullable=False),
)

content = Table(
    "content",
    metadata,
    Column("sha256", String, primary_key=True, comment="of the whole file"),
    Column("part", Integer, primary_key=True, autoincrement=False, comment="from 0"),
    Column("data", LargeBinary, nullable=False, comment="contents.PART_BYTES, the last part less"),
    comment="the artifacts' files; empty where the database is a file beside them",
)

run = Table(
    "run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("plan_digest", String, nullable=False, index=True, comment="sha256 of the plan"),
    Column("plan", String, nullable=False, comment="Plan"),
    Column("command", String, nullable=False, comment="what makes the run again"),
    Column("started_at", String, nullable=False),
    Column("finished_at", String, comment="null while it is going on, or was interrupted"),
    Column("stopped", String, comment="why no more launches were made: plan.Stop"),
    Column("revision", String, index=True, comment="commit of the user's repository"),
)

cell = Table(
    "cell",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("ordinal", Integer, nullable=False, comment="place in the plan, from 0"),
    Column("network", String, nullable=False),
    Column("runtime", String, nullable=False),
    Column("precision", String, nullable=False),
    Column("threads", Integer, nullable=False),
    Column("artifact_id", ForeignKey("artifact.id"), comment="null until it is exported"),
    Column("export_error", String, comment="why there is no artifact"),
    Column("evaluation_id", ForeignKey("evaluation.id"), comment="null without test data"),
    UniqueConstraint("run_id", "ordinal"),
)

evaluation = Table(
    "evaluation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("artifact_id", ForeignKey("artifact.id"), nullable=False),
    Column("test_digest", String, nullable=False, index=True, comment="of all that decides it"),
    Column("evaluated_at", String, nullable=False),
    Column("error", String, comment="why there is no accuracy"),
    Column("document", String, comment="Evaluation"),
)

launch = Table(
    "launch",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("cell_id", ForeignKey("cell.id"), nullable=False),
    Column("action", String, nullable=False, comment="measure or profile"),
    Column("round", Integer, nullable=False, comment="from 0"),
    Column("position", Integer, nullable=False, comment="order within the round, from 0"),
    Column("started_at", String, nullable=False),
    Column("duration_s", Float, nullable=False, comment="of the whole process"),
    Column("error", String, comment="why the launch has no result; all below is then null"),
    Column("machine_id", ForeignKey("machine.id")),
    Column("comparability_digest", String, comment="launches compare only where it is equal"),
    Column("comparability", String, comment="what the digest is of"),
    Column("median_ns", Float),
    Column("sample_count", Integer),
    Column("steady", Boolean, comment="whether the warm-up ended in a steady state"),
    Column("samples", LargeBinary, comment="blobs.pack of Launch.samples_ns"),
    Column("profile", LargeBinary, comment="blobs.pack_json of Launch.profile"),
    Column("document", String, comment="Launch without samples and profile"),
    # What makes a doubled launch impossible, whatever happens to a run.
    UniqueConstraint("cell_id", "action", "round"),
)

count = Table(
    "count",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("artifact_id", ForeignKey("artifact.id"), nullable=False, index=True),
    Column("setting", String, nullable=False, comment="all that decides it but the file, as JSON"),
    Column("instructions", BigInteger, nullable=False, comment="of one process"),
    Column("counted_at", String, nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("device", String, primary_key=True, comment="its address"),
    Column("number", Integer, nullable=False, comment="grows with each lease: the fencing token"),
    Column("holder", String, nullable=False, comment='"" when nobody has it'),
    Column("expires_at", Float, nullable=False, comment="UTC seconds since 1970"),
)
