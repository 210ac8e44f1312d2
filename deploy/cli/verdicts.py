"""What a device said to the guidelines, for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundspeed.deploy.feedback.guidelines.tables import Row, Table


def plain(table: Table) -> dict[str, Any]:
    """Return a table as a dictionary for machines; durations are nanoseconds."""
    return {
        "guideline": table.experiment.guideline,
        "paper_table": table.experiment.table,
        "channels": table.column,
        "width": table.width,
        "runtime": table.runtime,
        "precision": table.precision,
        "threads": table.threads,
        "rounds": table.rounds,
        "trend": table.trend,
        "paper_trends": table.paper_trends,
        "verdict": table.verdict,
        "contradicts_the_paper": table.contradicts,
        "variants": [_row(row) for row in table.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "variant": row.variant.name,
        "step": row.variant.step,
        "network": row.cell.cell.network.spec,
        "macs": row.macs,
        "latency": row.latency,
        "speed": row.speed,
        "speed_per_mac": row.speed_per_mac,
        "paper": row.paper,
        "is_exception": row.is_exception,
        "failure": row.failure,
    }
