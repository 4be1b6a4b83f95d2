"""What must hold for a mutated stage: typed reasons of one sentence, and its good objects done."""

import math
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from author_results import offsets, texture
from conftest import build_tiny_stage
from pxr import Sdf, Usd

import usdstylize
from mutated import files, shading, structure, values
from mutated.case import Case, faults
from mutated.damage import build_result, damage, judged, trials
from mutated.scenes import build_scenes
from usdstylize import Options
from usdstylize.errors import InputError, ObjectError, OutputError, StageError
from usdstylize.imaging import uv_raster
from usdstylize.model.base_colors import DisplayColor, GraphColor, TextureFile
from usdstylize.model.objects import ObjectData, StageContents, StageObject
from usdstylize.usd import read, write
from usdstylize.usd.io.opening import open_stage, quiet
from usdstylize.usd.read import loading
from usdstylize.usd.verify import verify as check_result

__all__ = ["Lab"]

_RESULT_EVERY = 23
"""Every twenty-third seed damages a result, no stage. Prime to the number of stages."""
_ROOMS = (values, shading, structure, files)  # each adds its faults when it is imported
_Sites = set[tuple[str, Sdf.Path, bool]]


@dataclass(frozen=True, eq=False)
class _Good:
    """An object of a good stage: its arrays, and the specs and files that it depends on.

    sites: layer, prim path, and whether all below it counts, too, as for a mesh or a material.
    """

    data: ObjectData
    sites: _Sites
    files: set[str]


class Lab:
    """The good stages, read once, and the trials of mutated ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scenes = build_scenes(folder / "good")
        self._good: dict[tuple[Path, float | None], dict[str, _Good]] = {}
        self._result: tuple[Path, str] | None = None

    def run(self, seed: int) -> tuple[str, list[str]]:
        """What was done for the seed, and what does not hold, one line each."""
        rng = np.random.default_rng([20261122, seed])
        if seed % _RESULT_EVERY == _RESULT_EVERY - 1:
            return self._run_result(rng)
        scene = self.scenes[seed % len(self.scenes)]
        with tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as folder:
            case = Case(scene, Path(folder) / "case", rng)
            for _ in range(1 + int(rng.choice(3, p=(0.7, 0.2, 0.1)))):
                faults[int(rng.integers(len(faults)))](case)
            with quiet():
                case.write()
            with small_primvar_images():
                options = _options(rng)
                problems = list(
                    self._check(case, options, self._read_good(scene, options), verified=seed % 16 == 0)
                )
        return f"{scene.name}: " + "; ".join(case.notes), problems

    def _run_result(self, rng: np.random.Generator) -> tuple[str, list[str]]:
        if self._result is None:
            source = build_tiny_stage(self.folder / "result")
            self._result = build_result(source), source.name
        root, source_name = self._result
        with tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as folder:
            case = Case(root, Path(folder) / "case", rng)
            for _ in range(1 + int(rng.random() < 0.3)):
                damage(case)
            with quiet():
                case.write()
            problems = []
            for name, trial in trials(case, case.folder / source_name):
                for sentence in judged(name, trial):
                    problems += _one_line(sentence)
        return f"a result of {source_name}: " + "; ".join(case.notes), problems

    def _read_good(self, scene: Path, options: Options) -> dict[str, _Good]:
        """Arrays do not depend on how objects are grouped, so one frame is read once."""
        if (scene, options.frame) not in self._good:
            contents = usdstylize.inspect(scene, replace(options, by="object", share_materials=False))
            with quiet():
                opened = open_stage(scene)
            self._good[scene, options.frame] = {
                obj.path: _Good(read.load(contents, obj), *_dependencies(opened, obj, scene.parent))
                for obj in contents.objects
            }
        return self._good[scene, options.frame]

    def _check(
        self, case: Case, options: Options, good: dict[str, _Good], *, verified: bool
    ) -> Iterator[str]:
        untouched = {path for path, known in good.items() if not _is_touched(case, known)}
        try:
            contents = usdstylize.inspect(case.path, options)
        except StageError as error:
            yield from _sentence(error)
            if untouched:
                yield f"the whole stage is refused though {sorted(untouched)} are untouched: {error}"
            return
        for skipped in contents.skipped:
            yield from _sentence(skipped.reason)
        loaded: dict[str, tuple[StageObject, ObjectData]] = {}
        for obj in contents.objects:
            try:
                loaded[obj.path] = obj, read.load(contents, obj)
            except ObjectError as error:
                yield from _sentence(error)
            except MemoryError:  # as the pipeline does: it costs the object alone
                continue
            else:
                yield from _arrays(obj, loaded[obj.path][1])
        for path in sorted(untouched):
            if any(
                Sdf.Path(path).HasPrefix(shared) for obj, _ in loaded.values() for shared in obj.instances[1:]
            ):
                continue  # it shares a prototype now
            if path not in loaded:
                reasons = [skipped.reason for skipped in contents.skipped if skipped.path == path]
                yield f"{path} is untouched and lost: {reasons}"
            elif not _same(loaded[path][1], good[path].data):
                yield f"{path} is untouched and its arrays differ"
        if loaded:
            owners = sorted(path for path, (obj, _) in loaded.items() if not obj.wears_another_look)
            if not owners:
                return  # whoever has the look cannot be read, which costs those that wear it, too
            chosen = loaded[case.choose(owners)]
            if not uv_raster.covered_texels(chosen[1].mesh.uvs, chosen[0].wrap, 16).any():
                yield f"{chosen[0].path} has UVs that cover nothing"
            yield from _author(
                case, contents, *chosen, is_untouched=chosen[0].path in untouched, verified=verified
            )


def _author(
    case: Case,
    contents: StageContents,
    obj: StageObject,
    data: ObjectData,
    *,
    is_untouched: bool,
    verified: bool,
) -> Iterator[str]:
    images = tuple(offsets(1, (4, 4)) for _ in data.bases)
    style = texture(images[0])
    style = type(style)(**{**vars(style), "images": images})
    try:
        plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    except OutputError as error:
        yield from _sentence(error)
        return
    try:
        with write.Writer(plan, contents, strength=1.0, network="both") as writer:
            writer.write_object(obj, data, style)
            for remark in writer.remarks[obj.name]:
                yield from _sentence(remark)
            root = writer.commit({"seed": 1})
    except ObjectError as error:
        yield from _sentence(error)
        if is_untouched and Sdf.Path(obj.path).GetPrefixes()[0].name != "StylizedLooks":
            yield f"{obj.path} is untouched and cannot be written: {error}"
        return
    except InputError as error:
        yield from _sentence(error)
        return
    if not Sdf.Layer.FindOrOpen(str(root)):
        yield f"{root} does not open"
    elif verified:
        yield from (f"verify: {check}" for check in check_result(root).failed)


def _options(rng: np.random.Generator) -> Options:
    """How a studio may ask for it."""
    return Options(
        frame=(None, None, None, 0.0, 5.0)[int(rng.integers(5))],
        by=("object", "object", "model")[int(rng.integers(3))],
        share_materials=bool(rng.random() < 0.25),
    )


def _arrays(obj: StageObject, data: ObjectData) -> Iterator[str]:
    """What the optimiser takes for granted."""
    for name, array in [*vars(data.mesh).items(), *(("base", base) for base in data.bases)]:
        if not np.isfinite(array).all():
            yield f"{obj.path} has {name} that is not finite"
    if len(data.mesh.triangles) and not 0 <= data.mesh.triangles.min() <= data.mesh.triangles.max() < len(
        data.mesh.points
    ):
        yield f"{obj.path} has triangles beyond its points"
    lengths = np.linalg.norm(data.mesh.normals, axis=-1)
    if not math.isclose(lengths.min(), 1.0, abs_tol=1e-3) or not math.isclose(
        lengths.max(), 1.0, abs_tol=1e-3
    ):
        yield f"{obj.path} has normals of length {lengths.min()} to {lengths.max()}"


def _sentence(message: object) -> Iterator[str]:
    text = str(message)
    if not text.endswith(".") or not re.search(r"/|\.\w{3,4}\b|anon:|SDF_FORMAT", text):
        yield f"no sentence that names a prim or file: {text!r}"
    yield from _one_line(text)


def _one_line(text: str) -> Iterator[str]:
    if "\n" in text:
        yield f"more than a line: {text!r}"
    if re.search(r"Traceback|internal error|object at 0x|<class |/tf/|\bat line \d+ (of|in) /", text):
        yield f"speaks of our insides: {text!r}"


def _is_touched(case: Case, known: _Good) -> bool:
    root = Sdf.Path.absoluteRootPath
    for name, paths in case.touched.items():
        if name in known.files or (name == case.root and root in paths):
            return True
        for layer, site, subtree in known.sites:
            if layer == name and any(site.HasPrefix(p) or (subtree and p.HasPrefix(site)) for p in paths):
                return True
    return False


def _dependencies(opened: Usd.Stage, obj: StageObject, folder: Path) -> tuple[_Sites, set[str]]:
    """The specs that compose an object's mesh, subset and material and all above them; its texture."""
    sites: _Sites = set()
    files = set()
    for path in filter(None, (obj.path, obj.mesh_path, obj.material_path, obj.surface_path, *obj.instances)):
        prim, subtree = opened.GetPrimAtPath(path), True
        while prim and not prim.IsPseudoRoot():
            for spec in prim.GetPrimStack():
                if spec.layer.anonymous:  # what stands for a MaterialX document
                    files |= {document.name for document in folder.glob("*.mtlx")}
                    continue
                name = str(Path(spec.layer.realPath).relative_to(folder))
                sites.add((name, spec.path.StripAllVariantSelections(), subtree))
            prim, subtree = prim.GetParent(), False
    base = obj.base.texture if isinstance(obj.base, DisplayColor) else obj.base
    for file in base.files if isinstance(base, TextureFile | GraphColor) else ():
        name = file.partition("[")[0]  # of a package, the package
        if name.startswith(str(folder)):
            files.add(str(Path(name).relative_to(folder)))
    return sites, files


def _same(one: ObjectData, other: ObjectData) -> bool:
    pairs = [*zip(vars(one.mesh).values(), vars(other.mesh).values(), strict=True)]
    pairs += zip(one.bases, other.bases, strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@contextmanager
def small_primvar_images() -> Iterator[None]:
    """Colours of primvars in few texels: 2,000 stages are not to take an hour."""
    with patch.object(loading, "_PRIMVAR_RESOLUTION", 32):
        yield
