"""A family of networks: the functions of one file that each build one network."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from torch import nn

from groundspeed.errors import UsageError

Build = TypeVar("Build", bound=Callable[..., nn.Module])


@dataclass(frozen=True, kw_only=True)
class Info:
    """What there is to know about a network before it is built.

    Attributes:
        name: what to call it by.
        family: the family that it belongs to.
        summary: one line about it.
        input_shape: shape of its input, batch included.
    """

    name: str
    family: str
    summary: str
    input_shape: tuple[int, ...]


class Family:
    """Networks that share a paper and a file.

    A file of a family makes one of these and decorates each of its functions with
    :meth:`network`; the registry of :mod:`groundspeed.models.zoo` has a row that names it.

    Args:
        name: name of the family.
        input_shape: shape of the input of its networks, batch included.
    """

    def __init__(self, name: str, input_shape: tuple[int, ...] = (1, 3, 224, 224)) -> None:
        self.name = name
        self.input_shape = input_shape
        self._functions: dict[str, Callable[..., nn.Module]] = {}

    def network(self, function: Build) -> Build:
        """Register a function under its own name; its keyword arguments are the options.

        Raises:
            ValueError: the family has a network of this name, or the function has no docstring,
                whose first line is the summary.
        """
        name = function.__name__
        if name in self._functions:
            raise ValueError(f"the family '{self.name}' already has a network '{name}'")
        if not function.__doc__:
            raise ValueError(f"the network '{name}' needs a docstring: its summary is shown")
        self._functions[name] = function
        return function

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its networks, in the order of the file."""
        return tuple(self._functions)

    def info(self, name: str) -> Info:
        """Describe one of its networks."""
        summary = (self._functions[name].__doc__ or "").splitlines()[0]
        return Info(name=name, family=self.name, summary=summary, input_shape=self.input_shape)

    def build(self, name: str, **options: object) -> nn.Module:
        """Call a network's function.

        Raises:
            UsageError: it has no such option, or not of this value.
        """
        function = self._functions[name]
        _check_options(name, function, options)
        return function(**options)


def _check_options(name: str, function: Callable[..., Any], options: dict[str, object]) -> None:
    parameters = inspect.signature(function).parameters
    hints = get_type_hints(function)
    for key, value in options.items():
        if key not in parameters:
            known = ", ".join(parameters) or "none"
            raise UsageError(f"the network '{name}' has no option '{key}'; its options: {known}")
        wanted = _unmet(hints.get(key), value)
        if wanted:
            raise UsageError(f"{key} of '{name}' is {value!r}; it must be {wanted}")


def _unmet(hint: object, value: object) -> str:
    """Return what an option must be and ``value`` is not, "" when it fits."""
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return "" if value in choices else " or ".join(map(repr, choices))
    # Counts of classes, channels, groups: True would pass for 1 if isinstance were asked.
    if hint is int:
        return "" if type(value) is int and value >= 1 else "a whole number, at least 1"
    if hint is float:
        return "" if type(value) in (int, float) else "a number"
    if isinstance(hint, type):
        return "" if isinstance(value, hint) else f"of type {hint.__name__}"
    return ""
