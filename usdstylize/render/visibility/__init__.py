"""Which triangle each pixel sees. Any engine serves: no gradient passes through visibility."""

import numpy as np
from numpy.typing import NDArray

from usdstylize.config.method import EngineName
from usdstylize.errors import OptionsError
from usdstylize.render.visibility.embree import EmbreeVisibility, available_cores
from usdstylize.render.visibility.nvdiffrast import NvdiffrastVisibility, has_nvdiffrast
from usdstylize.render.visibility.parts import PartVisibility
from usdstylize.render.visibility.protocol import Hits, Visibility
from usdstylize.render.visibility.zbuffer import ZBufferVisibility

__all__ = [
    "EmbreeVisibility",
    "Hits",
    "NvdiffrastVisibility",
    "Visibility",
    "ZBufferVisibility",
    "available_cores",
    "check_visibility",
    "choose_visibility",
    "has_nvdiffrast",
]


def check_visibility(name: EngineName, device: str) -> None:
    """Raises OptionsError where the engine cannot run on the device, or is not there."""
    if name != "nvdiffrast":
        return
    if not device.startswith("cuda"):
        raise OptionsError("--visibility nvdiffrast needs a CUDA GPU; give --visibility embree or z-buffer.")
    if not has_nvdiffrast():
        raise OptionsError("--visibility nvdiffrast: it is not installed here; give --visibility z-buffer.")


def choose_visibility(
    name: EngineName,
    points: NDArray[np.float32],
    triangles: NDArray[np.int32],
    device: str,
    object_of_triangle: NDArray[np.int64] | None = None,
) -> Visibility:
    """The engine of that name, holding a mesh, its hits on ``device``.

    points: (V, 3) float32. triangles: (F, 3) int32. `auto` is the z-buffer on CUDA, else Embree.
    object_of_triangle: (F,), for cameras that see only some of the objects; None where there are none.
    """
    if object_of_triangle is not None:

        def engine(some: NDArray[np.int32]) -> Visibility:
            return choose_visibility(name, points, some, device)

        return PartVisibility(engine, triangles, object_of_triangle)
    if name == "auto":
        name = "z-buffer" if device.startswith("cuda") else "embree"
    check_visibility(name, device)
    if name == "nvdiffrast":
        return NvdiffrastVisibility(points, triangles, device)
    if name == "z-buffer":
        return ZBufferVisibility(points, triangles, device)
    return EmbreeVisibility(points, triangles, device)
