"""What a graph is evaluated with: inputs that record what it reads, or the texels of a texture."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from usdstylize.errors import MaterialError
from usdstylize.imaging.sampling import VALUES_AT_ONCE, resample, sample
from usdstylize.model.affine_uvs import Placement
from usdstylize.usd.shading.evaluate import ImageRead
from usdstylize.usd.shading.nodes import to_components

__all__ = ["PrimvarReader", "RecordedInputs", "TexelInputs"]

Float32 = NDArray[np.float32]
PrimvarReader = Callable[[str, int, str], Float32 | None]
"""Gives the one value, (components,), of a primvar by its name, their number and the path of the node that
reads it; None where the object has no such primvar."""

_SOMETHING = 0.5
"""A code that no operation makes degenerate."""


class RecordedInputs:
    """Notes what a graph reads; every image is one texel of one code, grey by default."""

    def __init__(self, primvars: PrimvarReader, code: float = _SOMETHING) -> None:
        self._code = code
        self.images: list[ImageRead] = []
        self.positions: list[Placement] = []
        self.primvars: dict[str, tuple[float, ...]] = {}
        """Values by name."""
        self._read = primvars

    def image(self, read: ImageRead) -> Float32:
        """The code, in every channel."""
        self.images.append(read)
        return np.full(read.components, self._code, dtype=np.float32)

    def position(self, placement: Placement) -> Float32:
        """The middle."""
        self.positions.append(placement)
        return np.full(2, _SOMETHING, dtype=np.float32)

    def primvar(self, name: str, components: int, node: str) -> Float32 | None:
        """As the object has it."""
        value = self._read(name, components, node)
        if value is not None:
            self.primvars[name] = tuple(float(number) for number in value)
        return value


class TexelInputs:
    """The texel centres of a texture that covers 0..1 of the coordinates ``frame``, band by band.

    An evaluation keeps the values of every node, so that it takes some rows at a time (`bands`).
    """

    def __init__(
        self,
        size: tuple[int, int],
        frame: Placement,
        read: Callable[[str], Float32],
        primvars: PrimvarReader = lambda name, components, node: None,
    ) -> None:
        """size: (width, height). read: code values (H, W, C) float32 of a resolved image file."""
        self.size = size
        self.frame = frame
        self.read = read
        self.primvar = primvars
        self._rows = slice(0, size[1])
        self._sampled: dict[tuple[object, ...], Float32] = {}

    def bands(self) -> Iterator[slice]:
        """The rows, some at a time; until the next ones, everything is of these alone."""
        at_once = max(1, VALUES_AT_ONCE // (3 * self.size[0]))
        for start in range(0, self.size[1], at_once):
            self._rows = slice(start, min(start + at_once, self.size[1]))
            yield self._rows

    def image(self, read: ImageRead) -> Float32:
        """Code values at the texels, (rows, W, components)."""
        key = (read.node, read.resolved_path, read.components)
        if key not in self._sampled:
            codes = _channels(self.read(read.resolved_path), read.components)
            if read.placement.equals(self.frame):
                self._sampled[key] = resample(codes, self.size, read.wrap)
            else:
                everything = slice(0, self.size[1])
                self._sampled[key] = sample(codes, self._positions(read.placement, everything), read.wrap)
        return self._sampled[key][self._rows]

    def position(self, placement: Placement) -> Float32:
        """Texture coordinates of the texels, (rows, W, 2)."""
        return self._positions(placement, self._rows).astype(np.float32)

    def _positions(self, placement: Placement, rows: slice) -> NDArray[np.float64]:
        width, height = self.size
        down = np.arange(height)[rows]
        u, v = np.meshgrid((np.arange(width) + 0.5) / width, 1 - (down + 0.5) / height)
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
