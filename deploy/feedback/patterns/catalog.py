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
        "element-wise": Entry(
            target=f"{_PACKAGE}.element_wise:PATTERN",
            extra="models",
            summary="G4: additions and multiplications that are not fused",
        ),
        "group convolution": Entry(
            target=f"{_PACKAGE}.group_convolution:PATTERN",
            extra="models",
            summary="G2: convolutions in groups that are not depthwise",
        ),
        "parallel branches": Entry(
            target=f"{_PACKAGE}.parallel_branches:PATTERN",
            extra="models",
            summary="G3: several small convolutions beside each other instead of a large one",
        ),
        "small ops": Entry(
            target=f"{_PACKAGE}.small_ops:PATTERN",
            extra="models",
            summary="G3: ops with so little work that their fixed cost rules",
        ),
        "squeeze and excitation": Entry(
            target=f"{_PACKAGE}.squeeze_excitation:PATTERN",
            extra="models",
            summary="G4: gates that are computed from all of a map and multiplied with it",
        ),
        "unbalanced widths": Entry(
            target=f"{_PACKAGE}.unbalanced_widths:PATTERN",
            extra="models",
            summary="G1: pointwise convolutions with far more channels on one side",
        ),
    },
)
