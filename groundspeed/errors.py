"""Every error that Groundspeed raises on purpose.

    GroundspeedError
    ├── UsageError                 exit code 2: the request cannot be carried out as it stands
    │   ├── UnknownName            a registry has no such entry
    │   ├── MissingExtra           a package that this needs is not installed
    │   ├── SourceError            what should be a network is none, or is damaged
    │   ├── ArtifactError          an exported file or its manifest is missing or damaged
    │   ├── InputError             inputs do not fit the network
    │   ├── DataError              calibration or test data are missing, damaged or too few
    │   └── DeviceRefused          a device is there, and will not or cannot do what is asked
    └── CheckError                 exit code 1: it was tried, and failed
        ├── ExportError            a network could not be written in a format
        │   ├── UnsupportedOp      the format has no way to say one of its ops
        │   ├── ConverterFailed    the converter crashed, hung or wrote nothing
        │   └── ParityError        the file computes something else than the network
        ├── LaunchError            a measuring process ended without a result
        │   └── NonFiniteOutput    the network answered NaN or infinity
        ├── DeviceLost             a device went away, or does not answer
        ├── BuildFailed            a program for a device could not be built
        ├── TrainingError          a training diverged
        └── StoreError             results could not be kept or read back

A message says what happened, to which thing, and what to do next, in one sentence or two.
"""


class GroundspeedError(Exception):
    """Base of all errors that are for people: the command line prints them without a traceback."""

    exit_code = 1


class UsageError(GroundspeedError):
    """The request cannot be carried out as it stands."""

    exit_code = 2


class UnknownName(UsageError):
    """A registry has no entry of this name."""


class MissingExtra(UsageError):
    """A package that this needs is not installed; the message has the pip line."""


class SourceError(UsageError):
    """What should be a network is none, or is damaged."""


class ArtifactError(UsageError):
    """An exported file or its manifest is missing or damaged."""


class InputError(UsageError):
    """Inputs do not fit the network's shapes, dtypes or names."""


class DataError(UsageError):
    """Calibration or test data are missing, damaged, too few, or of another shape or range."""


class DeviceRefused(UsageError):
    """A device is there, and will not or cannot do what is asked: no key, no space, no engine."""


class CheckError(GroundspeedError):
    """It was tried, and failed."""


class ExportError(CheckError):
    """A network could not be written in a format."""


class UnsupportedOp(ExportError):
    """The format has no way to say one of the network's ops."""


class ConverterFailed(ExportError):
    """A converter crashed, ran out of its time, or wrote nothing usable."""


class ParityError(ExportError):
    """The written file computes something else than the network it came from.

    Attributes:
        found: how it differs; the message without what to do.
        layer: canonical op of the layer that is to blame, if in floating point it would not be;
            "" where nobody knows.
    """

    def __init__(self, found: str, *, advice: str = "", layer: str = "") -> None:
        super().__init__(f"{found}; {advice}" if advice else found)
        self.found = found
        self.layer = layer


class LaunchError(CheckError):
    """A measuring process ended without a result."""


class NonFiniteOutput(LaunchError):
    """The network answered NaN or infinity, so its latency would describe nothing useful."""


class DeviceLost(CheckError):
    """A device went away or does not answer; what was started there may still go on."""


class BuildFailed(CheckError):
    """A program for a device, or what it is made of, could not be fetched or built."""


class TrainingError(CheckError):
    """A training diverged."""


class StoreError(CheckError):
    """Results could not be kept or read back."""
