"""What the experiments stylise: an object of a stage, or one packed into a file.

python -m benchmarks.paper.subjects STAGE:/PRIM OUT.npz packs one, so that a machine without USD or
xatlas can run the experiments.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cyclopts import App

from usdstylize.config.options import StageOptions
from usdstylize.errors import StageError
from usdstylize.imaging.encoding import encode_base
from usdstylize.model.base_colors import ConstantColor, Wrap
from usdstylize.model.objects import Mesh, ObjectData, StageObject

__all__ = ["PaperSubject", "pack", "read_subject"]

app = App(name="benchmarks.paper.subjects", help="Pack an object of a stage into one file.")


@dataclass(frozen=True, eq=False)
class PaperSubject:
    """An object with its arrays; ``name`` heads its rows in sheets and tables."""

    name: str
    object: StageObject
    data: ObjectData


def read_subject(text: str) -> PaperSubject:
    """``STAGE:/PRIM``, ``NAME=STAGE:/PRIM``, or a file that `pack` has written.

    Raises StageError where the stage holds no such object, or the file is none.
    """
    named, _, place = text.rpartition("=")
    if place.endswith(".npz"):
        return _unpack(Path(place), named)
    path, _, prim = place.rpartition(":")
    from usdstylize.usd import read  # needs USD

    contents = read.discover(Path(path), StageOptions(mask=(prim,)))
    if not contents.objects:
        raise StageError(f"{place} holds nothing that can be stylised; name a mesh as STAGE:/PRIM.")
    found = contents.objects[0]
    return PaperSubject(named or Path(path).stem, found, read.load(contents, found))


def pack(subject: PaperSubject, out: Path) -> None:
    """Write the arrays of a subject, and what of its description the optimisation reads."""
    mesh, obj = subject.data.mesh, subject.object
    base = encode_base(subject.data.bases[0], subject.data.transfer)
    about = {"name": subject.name, "path": obj.path, "object": obj.name, "wrap": list(obj.wrap)}
    arrays: dict[str, Any] = {
        "points": mesh.points,
        "triangles": mesh.triangles,
        "normals": mesh.normals.astype(np.float16),
        "uvs": mesh.uvs,
        # T comes from 8-bit files in all of the paper's subjects
        "base": np.rint(base * 255).clip(0, 255).astype(np.uint8),
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
    }
    np.savez_compressed(out, **arrays)


@dataclass(frozen=True)
class _Packed(StageObject):
    """A StageObject that carries its wrap by itself, as its texture file is elsewhere."""

    packed_wrap: tuple[Wrap, Wrap] = ("repeat", "repeat")

    @property
    def wrap(self) -> tuple[Wrap, Wrap]:
        return self.packed_wrap


def _unpack(path: Path, named: str) -> PaperSubject:
    try:
        file = np.load(path)
        about = json.loads(file["about"].tobytes())
    except (OSError, KeyError, ValueError) as error:
        raise StageError(f"{path} is no packed subject; write one with benchmarks.paper.subjects.") from error
    normals = file["normals"].astype(np.float32)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True).clip(1e-6)
    mesh = Mesh(file["points"], file["triangles"], normals, file["uvs"])
    base = (file["base"].astype(np.float32) / 255).astype(np.float32)

    obj = _Packed(
        path=about["path"],
        mesh_path=about["path"],
        name=about["object"],
        material_path=None,
        surface="none",
        surface_path=None,
        base=ConstantColor((0.0, 0.0, 0.0)),
        uv_primvar="st",
        uv_transform=None,
        triangle_count=len(mesh.triangles),
        packed_wrap=tuple(about["wrap"]),
    )
    return PaperSubject(named or about["name"], obj, ObjectData(mesh, (base,)))


@app.default
def main(subject: str, out: Path, /) -> int:
    """Pack a subject.

    Parameters
    ----------
    subject
        ``STAGE:/PRIM`` or ``NAME=STAGE:/PRIM``.
    out
        The .npz to write.
    """
    pack(read_subject(subject), out)
    return 0


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
