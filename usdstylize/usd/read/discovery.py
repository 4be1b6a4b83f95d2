"""What a stage holds for us, found and checked without keeping any array."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Tf, Usd

from usdstylize.config.options import StageOptions
from usdstylize.errors import InputError, MeshError, ObjectError, StageError, one_line
from usdstylize.model.base_colors import TextureFile
from usdstylize.model.geometry import Geometry
from usdstylize.model.objects import Mesh, Skipped, StageContents, StageObject
from usdstylize.usd.io.colorspaces import use_ocio
from usdstylize.usd.io.mtlx_layers import why_empty
from usdstylize.usd.io.opening import first_sentence, open_stage, quiet, read_time
from usdstylize.usd.io.udim import lost_triangles
from usdstylize.usd.read.bindings import FaceSet, face_sets
from usdstylize.usd.read.cameras import stage_cameras
from usdstylize.usd.read.copies import Shape, mark_copies, shape_of
from usdstylize.usd.read.geometry import build_mesh, read_geometry
from usdstylize.usd.read.grouping import group_objects
from usdstylize.usd.read.heroes import make_heroes
from usdstylize.usd.read.looks import trace_look
from usdstylize.usd.read.masks import read_mask_values, shows_nothing, with_options
from usdstylize.usd.read.names import object_name
from usdstylize.usd.read.neighbours import join_neighbours
from usdstylize.usd.read.pattern import pattern_width
from usdstylize.usd.read.population import Candidate, mask_paths, survey
from usdstylize.usd.read.posing import is_deformed, is_posed, pose
from usdstylize.usd.read.proxies import share_proxies
from usdstylize.usd.read.settings import StageSettings
from usdstylize.usd.read.sources import sources
from usdstylize.usd.read.uvs import choose_uvs

__all__ = ["discover"]

_POSED = "It is skinned or blended and is read as posed at the frame."
_UNPOSED = "It is skinned or blended and is read in its bind pose; --frame poses it, but for instances."

_log = logging.getLogger(__name__)


def discover(
    stage_path: Path,
    options: StageOptions = StageOptions(),
    *,
    earlier_heroes: Sequence[str] = (),
) -> StageContents:
    """Finds what can be stylised at or under ``options.mask``, and why the rest cannot.

    Everything an object needs is read and checked once, so that a bad one is known before any
    time is spent. What instances share is found once, in the first of them, also where the mask
    names another; those of ``options.per_instance`` and ``earlier_heroes`` are read as if they were
    no instances, with objects of their own.
    earlier_heroes: `StageContents.heroes` of an earlier result; the stage may have lost some since.

    Raises StageError where the stage does not open, ``options.mask`` or ``per_instance`` names no
    such prim, or ``options.ocio`` is no configuration.
    """
    path = Path(stage_path).absolute()
    with quiet(), _stage_errors(path):
        stage = open_stage(path)
        alone = make_heroes(stage, options.per_instance, earlier_heroes)
        if options.ocio is not None:
            use_ocio(stage, options.ocio)
        time = read_time(stage, options.frame)
        if options.frame is not None:
            pose(stage, time)
        paths = mask_paths(stage, options.mask)
        skipped = _composition_errors(stage, paths)
        settings = StageSettings()
        kept: dict[str, int] = {}
        objects: list[StageObject] = []
        shapes: dict[str, Shape] = {}
        population = survey(stage, paths, options.purposes, time)
        for found in population.candidates:
            for result in _examine(found, time, settings, shapes, options):
                if isinstance(result, str):
                    kept[result] = kept.get(result, 0) + 1
                elif isinstance(result, Skipped):
                    skipped.append(result)
                else:
                    objects.append(result)
        skipped += [_disabled(prim, count) for prim, count in kept.items()]
        grouped = group_objects(
            stage, share_proxies(stage, objects), by=options.by, share_materials=options.share_materials
        )
        objects_made = grouped if options.unique else mark_copies(stage, grouped, shapes, alone, time)
        if options.views == "scene":
            objects_made = join_neighbours(stage, objects_made, options.purposes, time)
        return StageContents(
            path=path,
            frame=None if time.IsEarliestTime() else time.GetValue(),
            objects=objects_made,
            skipped=(*_lost_behind_a_link(path, skipped), *skipped, *population.skipped),
            sources=sources(stage, objects, time),
            prototypes=tuple(population.prototypes),
            heroes=alone,
            posed=options.frame is not None,
            ocio=os.path.abspath(options.ocio) if options.ocio is not None else "",
            refine=options.refine,
            pattern_width=pattern_width(stage, options.purposes, time),
            cameras=stage_cameras(stage, time),
        )


@contextmanager
def _stage_errors(path: Path) -> Iterator[None]:
    """Raises StageError for an error of USD that belongs to no single prim."""
    try:
        yield
    except Tf.ErrorException as error:
        raise StageError(f"Stage {path} cannot be read ({first_sentence(error)}); repair it.") from error


def _examine(
    found: Candidate,
    time: Usd.TimeCode,
    settings: StageSettings,
    shapes: dict[str, Shape],
    options: StageOptions,
) -> list[StageObject | Skipped | str]:
    """The mesh and its material subsets, each as an object or with the reason why not.

    Or the path of the prim whose ``stylize:enabled = false`` (StylizeAPI) keeps the mesh as it is.
    shapes: by path, to which those of the objects are added.
    """
    mesh = found.mesh
    prim = mesh.GetPrim()
    try:
        geometry = read_geometry(prim, time)
        sets = face_sets(mesh, time)
    except InputError:
        raise
    except Exception as error:
        return [Skipped(str(prim.GetPath()), _reason(prim.GetPath(), error), broken=True)]
    results: list[StageObject | Skipped | str] = []
    for face_set in sets:
        path = face_set.prim.GetPath()
        if not any(path.HasPrefix(root) for root in found.mask):
            continue
        try:
            keeper = settings.disabled_by(face_set.prim)
            if keeper is not None:
                results.append(keeper)
                continue
            obj, shape, arrays, corners = _describe(prim, face_set, geometry, time, options.refine)
            notes = (*obj.notes, *settings.remarks(face_set.prim))
            own = with_options(settings.read(face_set.prim), options)
            obj = replace(obj, settings=own, notes=notes)
            values = read_mask_values(prim, own.mask_primvar, time, geometry) if own.mask_primvar else None
            empty = shows_nothing(obj, arrays.uvs) if values is None else not values[corners].any()
            if empty:
                results.append(Skipped(str(path), f"{path} has a mask that is 0 everywhere, so it stays."))
                continue
            if shape is not None:
                shapes[obj.path] = shape if values is None else shape.masked(values)
        except InputError:
            raise
        except Exception as error:
            results.append(Skipped(str(path), _reason(path, error), broken=True))
        else:
            results.append(_shared(obj, found) if found.prototype else obj)
    return results


def _reason(path: Sdf.Path, error: Exception) -> str:
    """Why a prim is left out, in a sentence; a mistake of our own must not cost the others either."""
    if isinstance(error, ObjectError):
        return str(error)
    if isinstance(error, Tf.ErrorException):
        return one_line(f"{path} cannot be read ({first_sentence(error)}).")
    if isinstance(error, MemoryError):
        return f"{path} needs more memory than there is; export a smaller one."
    _log.debug("%s failed", path, exc_info=error)
    what = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(". ")
    return f"{path}: internal error ({what}); please report it with what --verbose shows."


def _shared(obj: StageObject, found: Candidate) -> StageObject:
    others = len(found.instances) - 1
    notes = obj.notes
    if others:
        notes += (
            f"{found.instances[0]} shares it with {others} other instance{'s' * (others > 1)}, which change "
            "together; name one with --per-instance to stylise it alone.",
        )
    return replace(obj, instances=found.instances, prototype=found.prototype, notes=notes)


def _describe(
    mesh: Usd.Prim, face_set: FaceSet, geometry: Geometry, time: Usd.TimeCode, refine: int
) -> tuple[StageObject, Shape | None, Mesh, NDArray[np.int64]]:
    if face_set.error:
        raise face_set.error
    path = str(face_set.prim.GetPath())
    left = face_set.faces if face_set.prim == mesh else None
    look = trace_look(face_set.prim, time, 0 if left is None else int(left.sum()))
    uvs = choose_uvs(mesh, face_set, look, time, geometry)
    label = f"{face_set.prim.GetTypeName()} {path}"
    arrays, corners = build_mesh(geometry, face_set.faces, uvs.of_corners, label)
    notes = [*look.notes, *face_set.notes, *geometry.notes, *uvs.notes]
    if is_deformed(mesh):
        notes.append(_POSED if is_posed(mesh) else _UNPOSED)
    if uvs.transform and uvs.transform.then:
        notes.append("Its UV transform shears, which some viewers show only by the live network.")
    if isinstance(uvs.base, TextureFile) and uvs.base.tiles:
        notes += _udim_notes(path, arrays, uvs.base)
    black = isinstance(uvs.base, TextureFile) and "black" in (uvs.base.wrap_s, uvs.base.wrap_t)
    if black and (arrays.uvs.min() < 0 or arrays.uvs.max() > 1):
        notes.append("Its UVs leave 0..1, where the texture's wrap mode is black.")
    obj = StageObject(
        path=path,
        mesh_path=str(mesh.GetPath()),
        name=object_name(path),
        material_path=look.material_path,
        surface=look.surface,
        surface_path=look.surface_path,
        base=uvs.base,
        uv_primvar=uvs.primvar,
        uv_transform=uvs.transform,
        triangle_count=len(arrays.triangles),
        notes=tuple(notes),
        is_emitted=look.is_emitted,
        unwrapped=uvs.unwrapped,
        uv_asked="" if uvs.unwrapped or look.uv_primvar in (None, uvs.primvar) else look.uv_primvar,
    )
    return obj, shape_of(mesh, face_set, geometry, uvs, time, refine), arrays, corners


def _udim_notes(path: str, mesh: Mesh, texture: TextureFile) -> list[str]:
    """Raises MeshError where no triangle lies on a tile that has a file."""
    lost = lost_triangles(mesh, texture)
    if lost == len(mesh.triangles):
        raise MeshError(
            f"{path} has no UVs on any tile of its UDIM texture {texture.asset_path}; "
            "fix its UVs or restore the tiles."
        )
    notes = ["It reads a UDIM set, so it gets a bake per tile and no live network, which Storm cannot draw."]
    if lost:
        notes.append(f"{lost} of its triangles lie on UDIM tiles that have no file, and stay as they are.")
    return notes


def _disabled(prim: str, count: int) -> Skipped:
    what = "it stays" if count == 1 else f"the {count} objects that it holds stay"
    return Skipped(prim, f"{prim} has stylize:enabled = false, so {what} as in the source.")


def _lost_behind_a_link(stage: Path, skipped: Sequence[Skipped]) -> list[Skipped]:
    """USD looks for ``./`` paths beside a link, not beside the file that it leads to."""
    target = Path(os.path.realpath(stage))
    if not stage.is_symlink() or target.parent == Path(os.path.realpath(stage.parent)):
        return []
    if not any(item.broken for item in skipped):
        return []
    reason = f"{stage} is a link, and USD looks for files beside it: if they lie beside {target}, open that."
    return [Skipped("/", reason, broken=True)]


def _composition_errors(stage: Usd.Stage, mask: Sequence[Sdf.Path]) -> list[Skipped]:
    """What could not be composed at, above or under the mask, a sentence each."""
    found = []
    for error in stage.GetCompositionErrors():
        path = error.rootSite.path
        if any(path.HasPrefix(root) or root.HasPrefix(path) for root in mask):
            message = " ".join(str(error).split()).rstrip(" .")
            why = why_empty(message)
            message += f"; {why}" if why else ""
            reason = one_line(f"{path} does not compose fully: {message}.")
            found.append(Skipped(str(path), reason, broken=True))
    return found
