"""The live network in NumPy: the authored nodes, values and files, evaluated texel by texel.

A third opinion beside the renderer and the bake: nothing here knows what the network should
compute, it follows connections and does what each MaterialX node is defined to do.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdShade

from usdstylize.author.bake import resample
from usdstylize.encoding import srgb_to_linear
from usdstylize.errors import MaterialError
from usdstylize.objects import Wrap

__all__ = ["evaluate"]

Float32 = NDArray[np.float32]
Reader = Callable[[str], Float32]

_WRAPS: dict[str, Wrap] = {"periodic": "repeat", "mirror": "mirror", "clamp": "clamp", "constant": "black"}
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "power": np.power,
}


def evaluate(source: UsdShade.Input, size: tuple[int, int], read: Reader) -> Float32:
    """The value of a shader input on a grid of texels of ``size`` (width, height), (H, W, 3).

    Texture coordinates are taken to run once over the grid; every image in the network reads
    at the same ones, so their transform drops out.
    read: code values (H, W, 3) float32 of a resolved image file.
    Raises MaterialError for a node that is not defined here.
    """
    value = _value(source, size, read)
    return np.broadcast_to(np.asarray(value, dtype=np.float32), (size[1], size[0], 3))


def _value(source: UsdShade.Input, size: tuple[int, int], read: Reader) -> Any:
    attributes = source.GetValueProducingAttributes()
    if not attributes:
        raise MaterialError(
            f"{source.GetAttr().GetPath()} has neither a value nor a connection; run again with --force."
        )
    attribute: Usd.Attribute = attributes[0]
    if not UsdShade.Output.IsOutput(attribute):
        return np.asarray(attribute.Get(), dtype=np.float32)
    node = UsdShade.Shader(attribute.GetPrim())
    identifier = str(node.GetShaderId())
    if identifier == "ND_image_color3":
        return _image(node, size, read)
    if identifier == "ND_clamp_color3":
        value, low, high = (_value(node.GetInput(name), size, read) for name in ("in", "low", "high"))
        return np.clip(value, low, high)
    if identifier == "ND_srgb_texture_to_lin_rec709_color3":
        return srgb_to_linear(_value(node.GetInput("in"), size, read))
    if identifier == "ND_luminance_color3":
        value, shares = (_value(node.GetInput(name), size, read) for name in ("in", "lumacoeffs"))
        return np.repeat((value @ shares)[..., None], 3, axis=-1)
    if identifier == "ND_mix_color3":
        over, under, share = (_value(node.GetInput(name), size, read) for name in ("fg", "bg", "mix"))
        return under + share * (over - under)
    operation = identifier.removeprefix("ND_").split("_")[0]
    if operation in _BINARY:
        left, right = (_value(node.GetInput(name), size, read) for name in ("in1", "in2"))
        return _BINARY[operation](left, right)
    raise MaterialError(
        f"{node.GetPath()} is a {identifier}, which the check cannot evaluate; run again with --force."
    )


def _image(node: UsdShade.Shader, size: tuple[int, int], read: Reader) -> Float32:
    file = node.GetInput("file")
    if file.GetAttr().GetColorSpace() != "lin_rec709":
        raise MaterialError(
            f"{node.GetPath()} has lost the colorSpace lin_rec709 of its file; run again with --force."
        )
    wrap = (
        _WRAPS[node.GetInput("uaddressmode").Get()],
        _WRAPS[node.GetInput("vaddressmode").Get()],
    )
    return resample(read(file.Get().resolvedPath), size, wrap)
