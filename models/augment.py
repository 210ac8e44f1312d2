"""Random shifts and mirror images, for training on small pictures."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def shifted_and_flipped(images: Tensor, *, shift: int, flip: bool) -> Tensor:
    """Return each image moved by up to ``shift`` pixels, and every second one mirrored.

    What a shift lays open repeats the pixels at the border. The draws come from torch's global
    generator.

    Args:
        images: [N, C, H, W].
        shift: largest way up, down, left and right.
        flip: whether a random half is mirrored left to right.
    """
    count, channels, height, width = images.shape
    rows, columns = torch.randint(0, 2 * shift + 1, (2, count, 1))
    rows = rows + torch.arange(height)  # [N, H]
    columns = columns + torch.arange(width)  # [N, W]
    if flip:
        columns = torch.where(torch.rand(count, 1) < 0.5, columns.flip(1), columns)
    padded = functional.pad(images, (shift,) * 4, mode="replicate") if shift else images
    return padded[
        torch.arange(count)[:, None, None, None],
        torch.arange(channels)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]
