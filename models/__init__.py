"""Networks: building blocks, families, and what each layer costs on paper.

``create`` and ``names`` of :mod:`groundspeed.models.zoo` are also here. Importing this package
does not import torch; listing or creating a network does.
"""

from groundspeed.models.zoo import create, names

__all__ = ["create", "names"]
