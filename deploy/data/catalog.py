"""The registry of kinds of data, and how a user's words name one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from groundspeed.deploy.data.samples import Asked, Data
from groundspeed.deploy.importing import split_arguments
from groundspeed.errors import DataError
from groundspeed.registry import Entry, Registry, unknown_name

Load = Callable[[Asked], Data]

# ``name:what`` asks for a kind by its name; folders, .npz files and callables need no name.
DATA = Registry(
    "kind of data",
    "groundspeed.data",
    {
        "callable": Entry(
            target="groundspeed.deploy.data.from_callable:load",
            extra="",
            summary="what a Python function gives, one array or (array, label) a sample",
        ),
        "fashion_mnist": Entry(
            target="groundspeed.deploy.data.idx:load_fashion_mnist",
            extra="data",
            summary="70,000 labelled pictures of clothes, in ':train' and ':test'",
        ),
        "folder": Entry(
            target="groundspeed.deploy.data.folder:load",
            extra="data",
            summary="images; sub-folders alone are classes, sorted by name",
        ),
        "mnist": Entry(
            target="groundspeed.deploy.data.idx:load_mnist",
            extra="data",
            summary="70,000 labelled digits, in ':train' and ':test'",
        ),
        "npz": Entry(
            target="groundspeed.deploy.data.archive:load",
            extra="",
            summary="numpy's arrays 'images' or 'x', with 'labels' or 'y' if there are any",
        ),
        "photographs": Entry(
            target="groundspeed.deploy.data.photographs:load",
            extra="data",
            summary="crops of the photographs in scikit-image and scikit-learn, without labels",
        ),
    },
)


def load_data(
    spec: str, *, shape: tuple[int, ...], limit: int | None = None, seed: int = 0
) -> Data:
    """Return the samples that ``spec`` names, made to fit a network.

    Args:
        spec: a folder of images, an ``.npz`` file, ``path/to/file.py:callable``,
            ``package.module:callable``, or the name of a kind of data with what it asks for behind
            a colon ("fashion_mnist:test"); options follow as ``:name=value,...``.
        shape: shape of the network's input, batch included; images are [N, C, H, W].
        limit: how many samples at most: a seeded choice out of all, the first of a callable.
        seed: seed of that choice, and of whatever else is random.

    Raises:
        DataError: there are no such data, they are damaged, or they do not fit the network.
        SourceError: the user's callable is missing or failed.
        MissingExtra: a package that reading them needs is not installed.
    """
    if limit is not None and limit < 1:
        raise DataError(f"{limit} samples of {spec} are none; ask for at least one")
    target, arguments = split_arguments(spec)
    kind, what = _kind(target)
    load: Load = DATA.load(kind)
    asked = Asked(spec=spec, what=what, shape=shape, limit=limit, seed=seed, arguments=arguments)
    data = load(asked)
    if data.count == 0:
        raise DataError(f"{spec} holds no samples; name data with at least one")
    return data


def _kind(target: str) -> tuple[str, str]:
    """Return the kind of data that is named, and what it shall find."""
    name, _, what = target.partition(":")
    if name in DATA:
        return name, what
    if target.endswith(".npz"):
        return "npz", target
    if Path(target).is_dir():
        return "folder", target
    if what and (name.endswith(".py") or _is_module(name)):
        return "callable", target
    raise DataError(
        f"'{target}' is no folder of images, no .npz file and no callable (file.py:function), and "
        f"{unknown_name('kind of data', name, list(DATA))}"
    )


def _is_module(name: str) -> bool:
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return False
    # A single word that cannot be imported is more likely a misspelt name than a module.
    return len(parts) > 1 or find_spec(name) is not None
