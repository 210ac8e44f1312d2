"""Channel shuffle of ShuffleNet (section 3.1 of https://arxiv.org/abs/1707.01083)."""

from __future__ import annotations

from torch import Tensor


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Return ``x`` [N, C, H, W] with its channels dealt out across groups.

    Channel i of group j goes to place i * groups + j: for 8 channels and 2 groups the order
    becomes 0 4 1 5 2 6 3 7. The MIT-licensed code of ShuffleNet's authors does the inverse.
    """
    batch, channels, height, width = x.shape
    # Converters recognise exactly this chain (pnnx makes one ShuffleChannel of it); flatten and
    # torch.channel_shuffle compute the same and are torn apart.
    x = x.view(batch, groups, channels // groups, height, width)
    return x.transpose(1, 2).contiguous().view(batch, channels, height, width)
