"""Pictures by Blender's importer and Cycles."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from .storm_python import HANG_SECONDS, STORM_PYTHON

Array = NDArray[np.float64]


def render(folder: Path, jobs: list[dict[str, Any]]) -> list[Array]:
    """(H, W, 3) linear pictures of the jobs."""
    for number, job in enumerate(jobs):
        job |= {"out": str(folder / f"blender{number}.exr"), "camera": "Camera"}
    (folder / "blender.json").write_text(json.dumps(jobs))
    command = [str(STORM_PYTHON), str(Path(__file__).with_name("blender.py")), str(folder / "blender.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [oiio.ImageBuf(job["out"]).get_pixels(oiio.FLOAT)[..., :3].astype(np.float64) for job in jobs]
