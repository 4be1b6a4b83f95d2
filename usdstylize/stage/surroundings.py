"""What a graph is evaluated with: a survey of what it reads, or a grid of texels."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from usdstylize.errors import MaterialError
from usdstylize.sampling import resample, sample
from usdstylize.stage.evaluate import ImageRead
from usdstylize.stage.nodes import to_components
from usdstylize.stage.placement import Placement

__all__ = ["Grid", "Primvars", "Survey"]

Float32 = NDArray[np.float32]
Primvars = Callable[[str, int, str], Float32 | None]
"""A primvar's one value (components,) by its name, number of components and the node that asks."""

_SOMETHING = 0.5
"""A code that no operation makes degenerate."""


class Survey:
    """Notes what a graph reads; every image is one grey texel."""

    def __init__(self, primvars: Primvars) -> None:
        self.images: list[ImageRead] = []
        self.positions: list[Placement] = []
        self.primvar = primvars

    def image(self, read: ImageRead) -> Float32:
        """Grey."""
        self.images.append(read)
        return np.full(read.components, _SOMETHING, dtype=np.float32)

    def position(self, placement: Placement) -> Float32:
        """The middle."""
        self.positions.append(placement)
        return np.full(2, _SOMETHING, dtype=np.float32)


class Grid:
    """The texel centres of a texture that covers 0..1 of the coordinates ``frame``."""

    def __init__(
        self,
        size: tuple[int, int],
        frame: Placement,
        read: Callable[[str], Float32],
        primvars: Primvars = lambda name, components, node: None,
    ) -> None:
        """size: (width, height). read: code values (H, W, C) float32 of a resolved image file."""
        self.size = size
        self.frame = frame
        self.read = read
        self.primvar = primvars
        self._codes: dict[str, Float32] = {}

    def image(self, read: ImageRead) -> Float32:
        """Code values at the texels, (H, W, components)."""
        if read.resolved_path not in self._codes:
            self._codes[read.resolved_path] = self.read(read.resolved_path)
        codes = _channels(self._codes[read.resolved_path], read.components)
        if read.placement.equals(self.frame):
            return resample(codes, self.size, read.wrap)
        return sample(codes, self._positions(read.placement), read.wrap)

    def position(self, placement: Placement) -> Float32:
        """Texture coordinates of the texels, (H, W, 2)."""
        return self._positions(placement).astype(np.float32)

    def _positions(self, placement: Placement) -> NDArray[np.float64]:
        width, height = self.size
        u, v = np.meshgrid((np.arange(width) + 0.5) / width, 1 - (np.arange(height) + 0.5) / height)
        if placement.primvar != self.frame.primvar:
            raise MaterialError(
                f"A graph reads the UVs primvars:{placement.primvar} where its object has "
                f"primvars:{self.frame.primvar}; run again."
            )
        relative = placement.relative_to(self.frame)
        positions: NDArray[np.float64] = np.stack([u, v], axis=-1) @ relative.matrix.T + relative.offset
        return positions


def _channels(codes: Float32, components: int) -> Float32:
    """As viewers read them: one channel is grey, two are grey and alpha, no alpha is opaque."""
    count = codes.shape[-1]
    if count <= 2 < components:
        alpha = codes[..., 1:] if count == 2 else np.ones_like(codes)
        codes = np.concatenate([np.repeat(codes[..., :1], 3, axis=-1), alpha], axis=-1)
    if codes.shape[-1] >= components:
        return codes[..., :components]
    return to_components(codes, "color3", "color4" if components == 4 else "vector3")
