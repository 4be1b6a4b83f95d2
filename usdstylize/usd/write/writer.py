"""Writing a result: textures into a hidden folder, then everything at once into place."""

import glob
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from pxr import Sdf, Usd

from usdstylize.config.options import Network
from usdstylize.errors import TextureError
from usdstylize.model.objects import NewUVs, ObjectData, StageContents, StageObject, StyleTexture
from usdstylize.model.results import plain
from usdstylize.usd.io.opening import open_stage, quiet, read_time
from usdstylize.usd.io.paths import anchored
from usdstylize.usd.write.binding import Binding, plan_binding, write_binding
from usdstylize.usd.write.disk import ASIDE, is_running, told, undone_on_error
from usdstylize.usd.write.instancing import inherit_classes, layer_path, shown_path
from usdstylize.usd.write.layers import new_root_layer, new_style_layer, save, temporary_name
from usdstylize.usd.write.material import ORIGINAL, VARIANT_SET, check_material, material_path, write_material
from usdstylize.usd.write.output_plan import OutputPlan
from usdstylize.usd.write.provenance import (
    Provenance,
    read_layer,
    read_provenance,
    read_run,
    write_provenance,
)
from usdstylize.usd.write.sharing import add_user, check_sharing
from usdstylize.usd.write.specs import prim_spec
from usdstylize.usd.write.textures import Textures, possible_network, write_textures
from usdstylize.usd.write.uvs import write_uvs

__all__ = ["Writer"]


class Writer:
    """Takes the finished objects of one run and writes them as layers when told to commit.

    A context manager. Until `commit` everything lies in a hidden staging folder beside the
    final one; leaving without a commit removes it and every folder that was made for it.
    """

    def __init__(
        self,
        plan: OutputPlan,
        contents: StageContents,
        *,
        strength: float,
        network: Network,
        block_contexts: Sequence[str] = (),
    ) -> None:
        """strength: initial value of the materials' dials, and what the bakes are made with.

        block_contexts: render contexts whose own surfaces are switched off, "all" for every one.
        """
        self.plan = plan
        self.contents = contents
        self.strength = strength
        self.network: Network = network
        self.block_contexts = tuple(block_contexts)
        self.remarks: dict[str, list[str]] = {}
        """Per object name: what the live network could not take over from the source."""
        self._written: dict[str, dict[str, Any]] = {}
        self._done: list[tuple[StageObject, Textures | None, NewUVs | None]] = []
        self._seeds: list[int] = []
        self._made: list[Path] = []
        host = socket.gethostname().split(".")[0]
        self._staging = plan.textures_folder.with_name(f".{plan.style_name}.staging-{host}-{os.getpid()}")
        self._source = _open_layer(contents.path)
        self._style_digest = _digest(plan.style_layer)
        self._style = read_layer(plan.style_layer) or new_style_layer(self._source)
        self._is_stale = False
        """Whether the layer in memory holds more than the opinions of what is done."""

    def __enter__(self) -> Self:
        """Raises OutputError where the folders cannot be made."""
        with told(self.plan.textures_folder):
            self._remove_leftovers()
            self._make_folder(self._staging)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._staging, ignore_errors=True)
        for path in (self.plan.style_layer, self.plan.root_layer):
            temporary_name(path).unlink(missing_ok=True)
        for folder in reversed(self._made):
            try:
                folder.rmdir()
            except OSError:  # It holds the result, or is the staging folder that is gone.
                continue

    def write_object(
        self, obj: StageObject, data: ObjectData, texture: StyleTexture, *, strength: float | None = None
    ) -> None:
        """Write one object's textures to the staging folder and its opinions into the layer.

        strength: the object's own; the run's when None.

        Raises MaterialError or TextureError where this object cannot be written; nothing of it
        remains then. Raises OutputError where nothing can be written at all; what was written
        before may still be committed.
        """
        if not all(np.isfinite(image).all() for image in texture.images):
            raise TextureError(
                f"The style texture of {obj.path} holds NaN or infinite values; try another seed."
            )
        with quiet():
            stage = self._open_source(obj)
            check_sharing(self._style, obj)
            own = self.strength if strength is None else strength
            textures = None
            if not obj.wears_another_look:
                check_material(stage, obj)
                with told(self.plan.textures_folder):
                    textures = write_textures(
                        self._staging / obj.name,
                        self.plan.textures_folder / obj.name,
                        self.plan.style_layer.parent,
                        obj,
                        data,
                        texture,
                        strength=own,
                        network=self.network,
                    )
            if self._is_stale:
                self._rewrite(self._done)
            # Where this fails or is interrupted half-way, its opinions are in the layer in part.
            self._is_stale = True
            remarks = self._write_opinions(self._style, stage, obj, textures, data.new_uvs)
            facts = _describe(obj, data, texture, textures, own, self.contents, remarks)
            facts["network"] = possible_network(obj, self.network)
            facts |= plain(
                {"base": {"kind": type(obj.base).__name__, **asdict(obj.base)}, "ocio": self.contents.ocio},
                self.plan.textures_folder,
            )
            self.remarks[obj.name], self._written[obj.name] = remarks, facts
            self._seeds.append(texture.seed)
            self._done.append((obj, textures, data.new_uvs))
            self._is_stale = False

    def _open_source(self, obj: StageObject) -> Usd.Stage:
        """The source stage with what matters to this object's look alone."""
        new = material_path(self._look(obj))
        mask = [obj.mesh_path, str(new), *filter(None, [obj.material_path, obj.surface_path])]
        if obj.prototype:
            mask += [f"/{obj.prototype}", str(shown_path(self.contents.prototypes, obj, new))]
        return open_stage(self.contents.path, only=mask, heroes=self.contents.heroes)

    def _look(self, obj: StageObject) -> StageObject:
        """The object whose material and texture ``obj`` wears: itself, or another of its group."""
        if not obj.wears_another_look:
            return obj
        return next(other for other in self.contents.objects if other.name == obj.look)

    def _write_opinions(
        self,
        layer: Sdf.Layer,
        stage: Usd.Stage,
        obj: StageObject,
        textures: Textures | None,
        uvs: NewUVs | None,
    ) -> list[str]:
        """Write the object's material and binding; returns what the live network could not take over.

        textures: None for an object that wears another's look, whose material is there already.
        Raises MaterialError where it is not.
        """
        if uvs is not None:
            place = layer_path(self.contents.prototypes, Sdf.Path(obj.mesh_path))
            write_uvs(layer, place, obj, uvs, shared=self._has_another_style(layer, obj))
        look = self._look(obj)
        binding = plan_binding(stage, obj, material_path(look), self.contents.prototypes)
        if textures is None:
            add_user(layer, material_path(look), obj)
            self._write_binding(layer, binding, obj)
            return []
        with Sdf.ChangeBlock():
            remarks = write_material(
                layer,
                stage,
                obj,
                self.plan.style_name,
                textures,
                network=possible_network(obj, self.network),
                block_contexts=self.block_contexts,
                time=read_time(stage, self.contents.frame),
                folder=self.plan.style_layer.parent,
            )
            self._write_binding(layer, binding, obj)
        return remarks

    def _has_another_style(self, layer: Sdf.Layer, obj: StageObject) -> bool:
        spec = layer.GetPrimAtPath(material_path(self._look(obj)))
        found = spec.variantSets[VARIANT_SET].variants if spec and VARIANT_SET in spec.variantSets else ()
        return any(variant.name not in (ORIGINAL, self.plan.style_name) for variant in found)

    def _write_binding(self, layer: Sdf.Layer, binding: Binding, obj: StageObject) -> None:
        with Sdf.ChangeBlock():
            for hero in self.contents.heroes:
                prim_spec(layer, Sdf.Path(hero)).instanceable = False
            if obj.prototype:
                inherit_classes(layer, self.contents.prototypes, obj.prototype)
            write_binding(layer, binding, obj.name)

    def commit(self, run: dict[str, Any]) -> Path:
        """Put textures, layers and run.json (``run`` and each object's facts) in place.

        Returns the root layer. Raises OutputError; an earlier result is then as it was.
        """
        plan, folder = self.plan, self.plan.root_layer.parent
        before = self._catch_up() or Provenance("", self.contents.path)
        provenance = Provenance(_version(), self.contents.path, before.styles).with_run(
            plan.style_name,
            objects=tuple(self._written),
            seed=_seed(run, self._seeds),
            strength=self.strength,
            sources=self.contents.sources,
        )
        root = read_layer(plan.root_layer)
        if root is None:
            root = new_root_layer(self._source, self.contents.path, plan.style_layer, folder)
        for layer in (self._style, root):
            write_provenance(layer, provenance, folder)
        with told(plan.textures_folder):
            self._write_run(run, provenance)
            # All that needs space is on the disk before anything visible changes.
            temporary_style, temporary_root = save(self._style, plan.style_layer), save(root, plan.root_layer)
            with undone_on_error() as replace:
                self._make_folder(plan.textures_folder)
                own = [obj.name for obj, textures, _ in self._done if textures is not None]
                for name in (*own, "run.json"):
                    replace(self._staging / name, plan.textures_folder / name)
                replace(temporary_style, plan.style_layer)
                replace(temporary_root, plan.root_layer)
        for path in (plan.style_layer, plan.root_layer):
            layer = Sdf.Layer.Find(str(path))
            if layer is not None:  # Somebody in this process has the earlier result open.
                layer.Reload(force=True)
        return plan.root_layer

    def _catch_up(self) -> Provenance | None:
        """What the style layer says of itself now: another run may have added to it meanwhile.

        This run's opinions are then written anew, over those of the other; and where objects
        have ended out of order, since the same seed must give the same layer.
        """
        order = {obj.path: number for number, obj in enumerate(self.contents.objects)}
        ordered = sorted(self._done, key=lambda done: order.get(done[0].path, len(order)))
        is_newest = _digest(self.plan.style_layer) == self._style_digest
        if ordered != self._done or self._is_stale or not is_newest:
            with quiet():
                self._rewrite(ordered)
        return read_provenance(self._style, self.plan.style_layer.parent)

    def _rewrite(self, done: Sequence[tuple[StageObject, Textures | None, NewUVs | None]]) -> None:
        """Write the opinions of what is done over what lies on the disk."""
        style = read_layer(self.plan.style_layer) or new_style_layer(self._source)
        whole = open_stage(self.contents.path)  # keeps the layers that each object opens again
        for obj, textures, uvs in done:
            self._write_opinions(style, self._open_source(obj), obj, textures, uvs)
        del whole
        self._style, self._is_stale = style, False

    def _write_run(self, run: dict[str, Any], provenance: Provenance) -> None:
        kept = read_run(self.plan.textures_folder).get("written", {})
        record = provenance.styles[self.plan.style_name]
        report = {
            **run,
            "version": provenance.version,
            "date": record.date,
            "style": self.plan.style_name,
            "strength": self.strength,
            "network": self.network,
            "sources": {anchored(f.path, self.plan.root_layer.parent): f.sha256 for f in record.sources},
            "written": dict(sorted({**kept, **self._written}.items())),
        }
        text = json.dumps(report, indent=2, default=str) + "\n"
        (self._staging / "run.json").write_text(text, encoding="utf-8")

    def _make_folder(self, folder: Path) -> None:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir()
            self._made.append(path)

    def _remove_leftovers(self) -> None:
        """Remove what a killed run on this host has left: its process is gone."""
        start = self._staging.name.rsplit("-", 1)[0]
        for leftover in self._staging.parent.glob(f"{start}-*"):
            if not is_running(leftover.name.rsplit("-", 1)[1]):
                shutil.rmtree(leftover, ignore_errors=True)
        for path in filter(None, (self.plan.style_layer, self.plan.root_layer, self.plan.package)):
            suffix = f".tmp{path.suffix}"
            for leftover in path.parent.glob(f".{glob.escape(path.stem)}.*{suffix}*"):
                if not is_running(leftover.name.removesuffix(ASIDE).removesuffix(suffix).rsplit(".", 1)[1]):
                    leftover.unlink(missing_ok=True)


def _digest(path: Path) -> str | None:
    """Hexadecimal sha256 of a file, None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(
    obj: StageObject,
    data: ObjectData,
    texture: StyleTexture,
    textures: Textures | None,
    strength: float,
    contents: StageContents,
    remarks: list[str],
) -> dict[str, Any]:
    """One object's facts for run.json; sizes are (width, height)."""
    return {
        "path": obj.path,
        "material": obj.material_path,
        "base_size": [data.bases[0].shape[1], data.bases[0].shape[0]],
        "style_size": [texture.images[0].shape[1], texture.images[0].shape[0]],
        "look": obj.look or obj.name,
        "group": obj.group or obj.name,
        "files": textures.written if textures else [],
        "strength": strength,
        "frame": contents.frame,
        "posed": contents.posed,
        "refine": contents.refine,
        "coverage": texture.coverage,
        "iterations": texture.iterations,
        "seed": texture.seed,
        "seconds": texture.seconds,
        "losses": texture.losses.to_dict(),
        "stages": texture.stages,
        "remarks": [*obj.notes, *data.repaired, *remarks],
    }


def _seed(run: dict[str, Any], seeds: Sequence[int]) -> int:
    """The run's own seed, or the first object's where the caller told none."""
    settings = run.get("plan", {}).get("settings", run)
    if isinstance(settings.get("seed"), int):
        return int(settings["seed"])
    return seeds[0] if seeds else 0


def _open_layer(path: Path) -> Sdf.Layer:
    with quiet():
        return Sdf.Layer.FindOrOpen(str(path))


def _version() -> str:
    try:
        return version("usdstylize")
    except PackageNotFoundError:
        return "unknown"
