"""CLIP embedding loss: a vector per image, which the paper compares NNFM with (Figures 3, S5)."""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["embedding_loss"]


def embedding_loss(embeddings: Tensor, style: Tensor) -> Tensor:
    """Mean cosine distance of image embeddings to the nearest of the style's, a scalar, 0 to 2.

    embeddings: (B, D) float, of the renders. style: (K, D) float, of the style images, a row
    each. Lengths do not matter. The embedding tells what an image shows as much as how: the
    paper finds eyes and leaves of the style image in the textures.
    """
    cosine = F.normalize(embeddings.float(), dim=1) @ F.normalize(style.float(), dim=1).T
    return (1 - cosine.amax(1)).mean()
