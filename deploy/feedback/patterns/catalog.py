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
        "channel alignment": Entry(
            target=f"{_PACKAGE}.channel_alignment:PATTERN",
            extra="models",
            summary="convolutions whose channels do not fill the runtime's vectors",
        ),
        "channel shuffle": Entry(
            target=f"{_PACKAGE}.channel_shuffle:PATTERN",
            extra="models",
            summary="channels of groups or branches dealt out among each other",
        ),
        "data movement": Entry(
            target=f"{_PACKAGE}.data_movement:PATTERN",
            extra="models",
            summary="slices, joins, transposes and paddings of the network itself",
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
        "layout conversion": Entry(
            target=f"{_PACKAGE}.layout_conversion:PATTERN",
            extra="models",
            summary="conversions of layout or type that the runtime inserts",
        ),
        "low intensity": Entry(
            target=f"{_PACKAGE}.low_intensity:PATTERN",
            extra="models",
            summary="layers that wait for memory, such as depthwise ones on large maps",
        ),
        "parallel branches": Entry(
            target=f"{_PACKAGE}.parallel_branches:PATTERN",
            extra="models",
            summary="G3: several small convolutions beside each other instead of a large one",
        ),
        "quantize borders": Entry(
            target=f"{_PACKAGE}.quantize_borders:PATTERN",
            extra="models",
            summary="changes between integers and floating point inside a network",
        ),
        "slow path": Entry(
            target=f"{_PACKAGE}.slow_path:PATTERN",
            extra="models",
            summary="ops for which the runtime has no fast kernel",
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
        "threads": Entry(
            target=f"{_PACKAGE}.threads:PATTERN",
            extra="models",
            summary="ops with too little work for several threads",
        ),
        "unbalanced widths": Entry(
            target=f"{_PACKAGE}.unbalanced_widths:PATTERN",
            extra="models",
            summary="G1: pointwise convolutions with far more channels on one side",
        ),
    },
)
