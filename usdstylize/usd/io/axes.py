"""From a stage's own space to ours: metres, +Y up."""

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom

__all__ = ["to_metres_y_up"]


def to_metres_y_up(stage: Usd.Stage) -> NDArray[np.float64]:
    """(4, 4) for row vectors, from the stage's world space; of NaN where metersPerUnit is no number."""
    matrix = np.eye(4)
    if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z:
        # (x, y, z) -> (x, z, -y): what was up stays up, and nothing is mirrored.
        matrix = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
    result: NDArray[np.float64] = matrix @ np.diag([UsdGeom.GetStageMetersPerUnit(stage)] * 3 + [1.0])
    return result
