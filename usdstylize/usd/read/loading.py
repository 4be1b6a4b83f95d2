"""The arrays of one object, read when its turn comes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pxr import Tf, Usd, UsdGeom

from usdstylize.errors import MeshError, StageError
from usdstylize.imaging import gutters, uv_raster
from usdstylize.imaging.encoding import encode_base, linear_to_srgb, srgb_to_linear
from usdstylize.imaging.sampling import sample
from usdstylize.model.affine_uvs import transform_uvs
from usdstylize.model.base_colors import ConstantColor, DisplayColor, GraphColor, TextureFile, Transfer
from usdstylize.model.geometry import Geometry
from usdstylize.model.objects import ObjectData, StageContents, StageObject
from usdstylize.usd.io.colorspaces import linear_rec709, use_ocio
from usdstylize.usd.io.opening import first_sentence, open_stage, quiet
from usdstylize.usd.io.primvars import find_primvar, read_corner_values, read_uvs
from usdstylize.usd.read.base_color import read_base_color
from usdstylize.usd.read.bindings import face_sets
from usdstylize.usd.read.geometry import build_mesh, read_geometry
from usdstylize.usd.read.masks import image_masks, primvar_masks, read_mask_values
from usdstylize.usd.read.posing import is_deformed, pose
from usdstylize.usd.read.subdivision import can_refine, refine, uv_corner_indices
from usdstylize.usd.read.uvs import new_uvs_of, read_old_uvs
from usdstylize.usd.shading.materialx import constant_primvars, evaluate_graph

__all__ = ["load"]

_PRIMVAR_RESOLUTION = 1024
"""Texels on a side of the image that a varying displayColor is rasterised into."""


def load(contents: StageContents, obj: StageObject, at_least: int = 0) -> ObjectData:
    """Mesh and base texture of one object.

    at_least: texels on each side of a texture that a graph computes; it has more where the graph's images
        have more.

    The stage is opened anew with this object alone, so that nothing large outlives the call.
    Raises MeshError or TextureError where what ``discover`` found can no longer be read.
    """
    with quiet():
        try:
            stage = open_stage(contents.path, only=[obj.mesh_path], heroes=contents.heroes)
            if contents.ocio:
                use_ocio(stage, Path(contents.ocio))
            return _load(stage, contents, obj, at_least)
        except StageError as error:
            raise MeshError(f"{obj.path} can no longer be read: {error}") from error
        except Tf.ErrorException as error:
            raise MeshError(
                f"{obj.path} cannot be read ({first_sentence(error)}); repair the stage."
            ) from error


def _load(stage: Usd.Stage, contents: StageContents, obj: StageObject, at_least: int) -> ObjectData:
    time = Usd.TimeCode.EarliestTime() if contents.frame is None else Usd.TimeCode(contents.frame)
    prim = stage.GetPrimAtPath(obj.mesh_path)
    chosen = (
        [s for s in face_sets(UsdGeom.Mesh(prim), time) if str(s.prim.GetPath()) == obj.path] if prim else []
    )
    if not chosen:
        raise MeshError(f"{obj.path} is no longer on the stage; run again.")
    geometry = read_geometry(prim, time)
    new_uvs = new_uvs_of(prim, obj, chosen[0].faces, geometry) if obj.unwrapped else None
    if contents.posed and is_deformed(prim):
        pose(stage, time)
        geometry = read_geometry(prim, time)
    if new_uvs is None:
        uvs = transform_uvs(read_uvs(prim, obj.uv_primvar, time, geometry), obj.uv_transform)
    else:
        uvs = new_uvs.values[new_uvs.indices].astype(np.float64)
    colors, repaired = _corner_colors(prim, obj, time, geometry)
    if obj.settings.mask_primvar:
        values = read_mask_values(prim, obj.settings.mask_primvar, time, geometry)
        colors = np.concatenate([colors, values], axis=-1)
    faces = chosen[0].faces
    if contents.refine and can_refine(prim):
        indices = uv_corner_indices(prim, obj.uv_primvar, geometry, time)
        if new_uvs is not None:
            indices = new_uvs.indices.astype(np.int64)
        finer = refine(prim, geometry, indices, uvs, colors, contents.refine, time)
        geometry, uvs, colors = finer.geometry, finer.uvs, finer.colors
        faces = None if faces is None else faces[finer.parents]
    mesh, corners = build_mesh(geometry, faces, uvs, obj.path)
    transfer = Transfer("linear")
    match obj.base:
        case TextureFile():
            transfer = obj.base.transfer
            read = [read_base_color(obj.base, file) for file in obj.base.files]
            bases, repaired = tuple(base for base, _ in read), tuple(repair for _, repair in read if repair)
        case ConstantColor(linear):
            bases = (np.array(linear, np.float32).reshape(1, 1, 3),)
        case DisplayColor():
            bases = (_rasterised(mesh.uvs, colors[corners][..., :3]),)
        case GraphColor():
            linear_values = _graph(stage, chosen[0].prim, obj, obj.base, time, at_least)
            transfer = Transfer(obj.base.encoding)
            bases = (linear_values if transfer.encoding == "linear" else linear_to_srgb(linear_values),)
    masks = image_masks(obj)
    if obj.settings.mask_primvar:
        masks = primvar_masks(obj, mesh.uvs, colors[corners][..., -1:])
    return ObjectData(
        mesh=mesh, bases=bases, transfer=transfer, masks=masks, new_uvs=new_uvs, repaired=repaired
    )


def _corner_colors(
    prim: Usd.Prim, obj: StageObject, time: Usd.TimeCode, geometry: Geometry
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """A colour for every face corner, (C, 3) linear, or (C, 0) where no primvar gives them; and what was
    repaired.
    """
    match obj.base:
        case DisplayColor(texture=TextureFile() as texture):
            old = read_old_uvs(prim, obj.base, time, geometry)
            image, repair = read_base_color(texture, texture.files[0])
            values = sample(image, old[:, None], (texture.wrap_s, texture.wrap_t))[:, 0]
            linear = srgb_to_linear(encode_base(values, texture.transfer))
            return linear.astype(np.float64), (repair,) if repair else ()
        case DisplayColor():
            primvar = find_primvar(prim, obj.base.primvar)
            if primvar is None:
                raise MeshError(f"{obj.path} no longer has primvars:{obj.base.primvar}; run again.")
            colors = read_corner_values(prim, primvar, time, geometry, components=3)
            return linear_rec709(colors, primvar.GetAttr()).astype(np.float64), ()
    return np.zeros((len(geometry.point_of_corner), 0)), ()


def _graph(
    stage: Usd.Stage, prim: Usd.Prim, obj: StageObject, graph: GraphColor, time: Usd.TimeCode, at_least: int
) -> NDArray[np.float32]:
    """(H, W, 3) float32 linear Rec.709, what the graph makes of its images.

    At the resolution of T_S or a finer one: no filter between texels does what a graph does between them.
    """
    attribute = stage.GetAttributeAtPath(graph.attribute)
    if not attribute:
        raise MeshError(f"{obj.path} no longer has the base colour {graph.attribute}; run again.")
    linear = evaluate_graph(
        attribute,
        (max(graph.size[0], at_least), max(graph.size[1], at_least)),
        time,
        uv_primvar=obj.uv_asked or obj.uv_primvar,
        uv_transform=obj.uv_transform,
        primvars=constant_primvars(prim, time),
    )
    values: NDArray[np.float32] = np.maximum(linear / np.float32(graph.divisor), np.float32(0.0))
    return values


def _rasterised(uvs: NDArray[np.float32], colors: NDArray[np.floating]) -> NDArray[np.float32]:
    """(R, R, 3) float32 linear, from linear colours (F, 3, 3) at the triangles' corners."""
    linear, covered = uv_raster.rasterize_vertex_colors(
        uvs, colors.astype(np.float32), _PRIMVAR_RESOLUTION, wrap=("repeat", "repeat")
    )
    return gutters.dilate(linear, covered, wrap=("repeat", "repeat"))
