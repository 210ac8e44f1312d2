"""The table of patterns; a new one is one file and one row."""

from groundspeed.registry import Entry, Registry

_PACKAGE = "groundspeed.deploy.feedback.patterns"

PATTERNS = Registry(
    "pattern",
    "groundspeed.patterns",
    {
        "activation": Entry(
            target=f"{_PACKAGE}.activation:PATTERN",
            extra="models",
            summary="G4: activations that are not fused into the op before them",
        ),
    },
)
