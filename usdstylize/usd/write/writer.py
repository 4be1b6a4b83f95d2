"""Writing a result: each object whole into a hidden folder, then everything at once into place."""

import glob
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from pxr import Sdf, Usd

from usdstylize.config.options import Network
from usdstylize.errors import MaterialError, OutputError, TextureError
from usdstylize.model.objects import NewUVs, ObjectData, StageContents, StageObject, StyleTexture
from usdstylize.model.results import plain
from usdstylize.usd.io.opening import open_stage, quiet, read_time
from usdstylize.usd.io.paths import anchored
from usdstylize.usd.write.binding import Binding, plan_binding, write_binding
from usdstylize.usd.write.copies import keep_files
from usdstylize.usd.write.disk import ASIDE, alone, is_running, undone_on_error, write_errors
from usdstylize.usd.write.fragments import merge
from usdstylize.usd.write.instancing import inherit_classes, layer_path, shown_path
from usdstylize.usd.write.layers import new_root_layer, new_style_layer, save, temporary_name
from usdstylize.usd.write.master import MASTER, clear_dials, recorded_inputs, write_master, write_record
from usdstylize.usd.write.material import ORIGINAL, VARIANT_SET, check_material, material_path, write_material
from usdstylize.usd.write.output_plan import OutputPlan
from usdstylize.usd.write.parts import MIX, Dialled, Mixed, Part
from usdstylize.usd.write.provenance import (
    Provenance,
    inputs_of,
    read_layer,
    read_provenance,
    read_run,
    write_provenance,
)
from usdstylize.usd.write.sharing import add_user, check_sharing, worn_materials
from usdstylize.usd.write.specs import prim_spec
from usdstylize.usd.write.textures import Textures, named_textures, possible_network, write_textures
from usdstylize.usd.write.unfinished import Finished, Unfinished, write_finished
from usdstylize.usd.write.uvs import write_uvs
from usdstylize.version import __version__

__all__ = ["Writer"]


class Writer:
    """Takes the objects of one run as they are done, and makes a result of them in `commit`.

    A context manager. Each object is whole on the disk when `write_object` returns: its textures, the layer
    with its opinions and a record, in a hidden folder beside the final one, where a later run finds them if
    this one is killed. Leaving without a commit keeps them, too; where there are none, everything that was
    made is removed.
    """

    def __init__(
        self,
        plan: OutputPlan,
        contents: StageContents,
        *,
        strength: float,
        network: Network,
        block_contexts: Sequence[str] = (),
        fingerprints: Mapping[str, str] | None = None,
        finished: Mapping[str, Finished] | None = None,
        creator: str | None = None,
        usage_terms: str | None = None,
    ) -> None:
        """strength: initial value of the materials' dials, and what the bakes are made with.

        block_contexts: render contexts whose own surfaces are switched off, "all" for every one.
        fingerprints: by object name, of all that decides the object's result.
        finished: by name, objects of a killed run that are to be part of this result.
        creator, usage_terms: for the record of the style; as an earlier run named them where they are None.
        """
        self.plan = plan
        self.contents = contents
        self.strength = strength
        self.network: Network = network
        self.block_contexts = tuple(block_contexts)
        self.remarks: dict[str, list[str]] = {}
        """Per object name: what the live network could not take over from the source."""
        self._credits = {"creator": creator, "usage_terms": usage_terms}
        self._fingerprints = fingerprints or {}
        self._finished = dict(finished or {})
        self._objects = {obj.name: obj for obj in contents.objects}
        self._source = _open_layer(contents.path)
        self._earlier = read_layer(plan.style_layer) or new_style_layer(self._source)
        self._worn = worn_materials(self._earlier)
        self._committed = False

    def __enter__(self) -> Self:
        """Raises OutputError where the folders cannot be made."""
        with write_errors(self.plan.textures_folder):
            self._unfinished = Unfinished(self.plan.layout, self.plan.style_name, dial=self.plan.dial)
            try:
                with alone(self.plan.layout.textures):
                    self._remove_leftovers()
                self._adopt()
            except BaseException:
                self._unfinished.close(keep=True)
                raise
        return self

    def _adopt(self) -> None:
        """Take over what killed runs have finished and is still there."""
        final, killed = self.plan.style, self._finished
        # Those in the final folder are of a run that was killed while it committed.
        self._finished = {name: each for name, each in killed.items() if each.folder == final.object(name)}
        for folder in self.plan.abandoned:
            self._finished |= self._unfinished.adopt(folder, killed, self._objects)
        # What another object's material or files are needed for is only of use with that object.
        known = {*self._finished, *self.plan.existing}
        self._finished = {
            name: each
            for name, each in self._finished.items()
            if {self._look(self._objects[name]).name, each.facts.get("copy_of") or name} <= known
        }
        self._clean(name for name in self._objects if name not in self._finished)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        can_be_continued = any(each.fingerprint for each in self._finished.values())
        self._unfinished.close(keep=can_be_continued and not self._committed)

    @property
    def finished(self) -> frozenset[str]:
        """Names of the objects that are done and will be part of the result."""
        return frozenset(self._finished)

    def write_object(
        self, obj: StageObject, data: ObjectData, texture: StyleTexture, *, strength: float | None = None
    ) -> None:
        """Write one object's textures, and its opinions as a layer; it is whole on the disk then.

        strength: the object's own; the run's when None.

        Raises MaterialError or TextureError where this object cannot be written; nothing of it
        remains then. Raises OutputError where nothing can be written at all; what was written
        before may still be committed.
        """
        if not all(np.isfinite(image).all() for image in texture.images):
            raise TextureError(
                f"The style texture of {obj.path} holds NaN or infinite values; try another seed."
            )
        own = self.strength if strength is None else strength
        made = _how_made(data, texture, own, self.contents)
        made["network"] = possible_network(obj, self.network)
        self._write(obj, data, texture, made)

    def write_mix(
        self, obj: StageObject, data: ObjectData, mixed: Mixed, *, copy_of: str = "", select: bool = True
    ) -> None:
        """Write the object's variant that adds several styles, all of which it holds; nothing else changes.

        copy_of: name of another object of this run that is mixed from the same files; it reads that one's
        bake. select: whether the object shows the mix.

        Raises MaterialError, TextureError or OutputError as `write_object`.
        """
        made = {
            "copy_of": copy_of,
            "frame": self.contents.frame,
            "posed": self.contents.posed,
            "refine": self.contents.refine,
            "network": possible_network(obj, mixed.network),
            "mix": {
                part.mixed: {"strength": part.strength, "textures": textures}
                for part, textures in zip(mixed.parts, mixed.textures, strict=True)
            },
        }
        self._write(obj, data, None, made, mixed, select=select)

    def write_dialled(
        self, obj: StageObject, data: ObjectData, dialled: Dialled, *, copy_of: str = ""
    ) -> None:
        """Write the object's style once more with another strength; its T_S stays, byte by byte.

        copy_of: name of another object of this run whose files it reads with the same strength. What the
        object shows stays selected.

        Raises MaterialError, TextureError or OutputError as `write_object`.
        """
        made = {**dialled.facts, "copy_of": copy_of, "strength": dialled.part.strength}
        self._write(obj, data, dialled.part, made, dialled, select=False)

    def write_copy(self, obj: StageObject, data: ObjectData) -> None:
        """Write the opinions of a copy, whose material reads the texture files of its original.

        data: the original's. It must be done, in this run or by an earlier one that is continued.

        Raises MaterialError or OutputError as `write_object`.
        """
        finished = self._finished.get(obj.copy_of)
        made = finished.facts if finished else self.plan.earlier_run.get("written", {}).get(obj.copy_of)
        if made is None:
            raise MaterialError(
                f"{obj.path} is a copy of {obj.copy_of}, which is not in this result; run again with --force."
            )
        # An earlier run may have made the original itself as a copy, of an object that this one leaves out.
        owner = made.get("copy_of") or obj.copy_of
        self._write(obj, data, None, {**made, "copy_of": owner, "seconds": 0.0, "stages": {}})

    def _write(
        self,
        obj: StageObject,
        data: ObjectData,
        texture: StyleTexture | Part | None,
        made: dict[str, Any],
        change: Mixed | Dialled | None = None,
        *,
        select: bool = True,
    ) -> None:
        """Put an object's textures, opinions and record into its folder.

        texture: None for a copy and for a mix; a part whose files stay as they are. made: facts of how the
        style texture was made. change: None where the object is stylised.
        """
        layout = self._unfinished.layout
        with quiet(), write_errors(self.plan.textures_folder):
            stage = self._open_source(obj)
            check_sharing(self._worn, obj)
            partial = layout.partial(obj.name)
            try:
                parts = change.parts if isinstance(change, Mixed) else ()
                textures = self._write_textures(partial, stage, obj, data, texture, parts, made)
                opinions = Sdf.Layer.CreateAnonymous(".usda")
                if change and textures:
                    blocked = tuple(sorted(change.blocked))
                    remarks = self._write_material(
                        opinions, stage, obj, textures, made["network"], blocked, select=select
                    )
                else:
                    remarks = self._write_opinions(
                        opinions, stage, obj, textures, data.new_uvs, made["network"]
                    )
                facts = made | _describe(obj, data, textures, remarks)
                facts |= plain(
                    {
                        "base": {"kind": type(obj.base).__name__, **asdict(obj.base)},
                        "ocio": self.contents.ocio,
                    },
                    self.plan.textures_folder,
                )
                if isinstance(change, Dialled):  # it is read without the options of its run
                    kept = ("look", "group", "remarks")
                    facts |= {name: change.facts.get(name, facts[name]) for name in kept}
                fingerprint = self._fingerprints.get(obj.name, "")
                self._finished[obj.name] = write_finished(
                    layout, obj.name, opinions.ExportToString(), fingerprint, facts
                )
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            self.remarks[obj.name] = remarks

    def _write_textures(
        self,
        folder: Path,
        stage: Usd.Stage,
        obj: StageObject,
        data: ObjectData,
        texture: StyleTexture | Part | None,
        parts: Sequence[Part],
        made: dict[str, Any],
    ) -> Textures | None:
        """The object's own, or those of a copy's original; None for an object that wears another's look."""
        final, layer_folder = self.plan.style, self.plan.layout.folder
        owner, network = made["copy_of"] or obj.name, made["network"]
        parts = parts or [Part(final, owner, made["strength"])]
        if not obj.wears_another_look:
            check_material(stage, obj)
            if not made["copy_of"]:
                return write_textures(folder, final, layer_folder, obj, data, texture, parts, network=network)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if obj.wears_another_look:
            return None
        return named_textures(final, layer_folder, obj, data, owner, parts, network=network)

    def _open_source(self, obj: StageObject) -> Usd.Stage:
        """The source stage with what matters to this object's look alone."""
        new = material_path(self._look(obj))
        mask = [obj.mesh_path, str(new), str(MASTER), *filter(None, [obj.material_path, obj.surface_path])]
        if obj.prototype:
            mask += [f"/{obj.prototype}", str(shown_path(self.contents.prototypes, obj, new))]
        return open_stage(self.contents.path, only=mask, heroes=self.contents.heroes)

    def _look(self, obj: StageObject) -> StageObject:
        """The object whose material and texture ``obj`` wears: itself, or another of its group."""
        return self._objects[obj.look] if obj.wears_another_look else obj

    def _write_opinions(
        self,
        layer: Sdf.Layer,
        stage: Usd.Stage,
        obj: StageObject,
        textures: Textures | None,
        uvs: NewUVs | None,
        network: Network,
    ) -> list[str]:
        """Write the object's material and binding; returns what the live network could not take over.

        textures: None for an object that wears another's look. Raises MaterialError where that has no
        material.
        """
        if uvs is not None:
            place = layer_path(self.contents.prototypes, Sdf.Path(obj.mesh_path))
            write_uvs(layer, place, obj, uvs, self._earlier if self._has_another_style(obj) else None)
        look = self._look(obj)
        binding = plan_binding(stage, obj, material_path(look), self.contents.prototypes)
        if textures is None:
            if look.name not in self._finished and not self._earlier.GetPrimAtPath(material_path(look)):
                raise MaterialError(
                    f"{obj.path} shares the look of {obj.look}, which could not be written; "
                    "see that object's reason."
                )
            self._write_binding(layer, binding, obj)
            return []
        remarks = self._write_material(layer, stage, obj, textures, network, self.block_contexts)
        self._write_binding(layer, binding, obj)
        return remarks

    def _write_material(
        self,
        layer: Sdf.Layer,
        stage: Usd.Stage,
        obj: StageObject,
        textures: Textures,
        network: Network,
        block_contexts: Sequence[str],
        *,
        select: bool = True,
    ) -> list[str]:
        with Sdf.ChangeBlock():
            return write_material(
                layer,
                stage,
                obj,
                self.plan.style_name,
                textures,
                network=network,
                block_contexts=block_contexts,
                time=read_time(stage, self.contents.frame),
                folder=self.plan.layout.folder,
                select=select,
            )

    def _has_another_style(self, obj: StageObject) -> bool:
        spec = self._earlier.GetPrimAtPath(material_path(self._look(obj)))
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

        Returns the root layer. Raises OutputError; an earlier result is then as it was, and the objects that
        are done stay for the next run.
        """
        with alone(self.plan.layout.textures):
            try:
                return self._commit(run)
            finally:
                for path in (self.plan.style_layer, self.plan.root_layer):
                    temporary_name(path).unlink(missing_ok=True)

    def _commit(self, run: dict[str, Any]) -> Path:
        plan, folder, final = self.plan, self.plan.layout.folder, self.plan.style
        with quiet():
            style = self._composed()
        root = read_layer(plan.root_layer)
        if root is None:
            root = new_root_layer(self._source, self.contents.path, plan.style_layer, folder)
        before = read_provenance(style, folder) or Provenance("", self.contents.path)
        if plan.dial:
            provenance = before
            clear_dials([style, root], [material_path(self._objects[name]) for name in self._finished])
        else:
            provenance = self._with_run(before, run)
            for layer in (style, root):
                write_provenance(layer, provenance, folder)
            self._write_record(style, provenance, run)
        earlier = read_run(final).get("written", {})
        with write_errors(plan.textures_folder):
            unfinished = self._unfinished.layout
            staying, owners = keep_files(style, earlier, self._finished, plan.layout, final, unfinished)
            self._write_run(run, provenance, staying)
            # All that needs space is on the disk before anything visible changes.
            temporary_style, temporary_root = save(style, plan.style_layer), save(root, plan.root_layer)
            with undone_on_error() as replace:
                self._unfinished.make_folder(final.folder)
                for name in owners:
                    replace(unfinished.object(name), final.object(name))
                replace(unfinished.run, final.run)
                for name, finished in self._finished.items():
                    there = final.object(name)
                    if finished.folder != there and (_has_textures(finished) or there.exists()):
                        replace(finished.folder, there)
                replace(temporary_style, plan.style_layer)
                replace(temporary_root, plan.root_layer)
        self._committed = True
        self._clean(self._finished)
        for path in (plan.style_layer, plan.root_layer):
            opened = Sdf.Layer.Find(str(path))
            if opened is not None:  # Somebody in this process has the earlier result open.
                opened.Reload(force=True)
        return plan.root_layer

    def _with_run(self, before: Provenance, run: dict[str, Any]) -> Provenance:
        return Provenance(__version__, self.contents.path, before.styles).with_run(
            self.plan.style_name,
            objects=tuple(self._finished),
            seed=_seed(run, [finished.facts.get("seed", 0) for finished in self._finished.values()]),
            strength=self.strength,
            sources=self.contents.sources,
        )

    def _write_record(self, style: Sdf.Layer, provenance: Provenance, run: dict[str, Any]) -> None:
        """Who made the style, and of what: for a mix, of all that its styles were made of."""
        name, inputs = self.plan.style_name, inputs_of(run)
        if name == MIX:
            mixed = {each for finished in self._finished.values() for each in finished.facts["mix"]}
            inputs = {k: v for each in sorted(mixed) for k, v in recorded_inputs(style, each).items()}
        date = provenance.styles[name].date
        write_record(style, name, version=__version__, date=date, inputs=inputs, **self._credits)

    def _clean(self, names: Iterable[str]) -> None:
        """Remove the opinions and records of objects that the style layer and run.json have."""
        final = self.plan.style
        for name in names:
            for file in (final.record(name), final.opinions(name)):
                (final.object(name) / file).unlink(missing_ok=True)
            with suppress(OSError):  # it has textures, or never was
                final.object(name).rmdir()

    def _composed(self) -> Sdf.Layer:
        """The style layer as it is on the disk now, with this run's objects in the stage's order.

        Another run may have added to it meanwhile; and whatever order objects ended in, the same seed gives
        the same layer.
        """
        style = read_layer(self.plan.style_layer) or new_style_layer(self._source)
        for obj in self.contents.objects:
            finished = self._finished.get(obj.name)
            if finished is None:
                continue
            opinions = read_layer(finished.folder / self.plan.style.opinions(obj.name))
            if opinions is None:
                raise OutputError(
                    f"{finished.folder} has lost the opinions of {obj.path} during the run; run again."
                )
            merge(opinions, style)
            if obj.wears_another_look:
                add_user(style, material_path(self._look(obj)), obj)
        write_master(style)
        return style

    def _write_run(self, run: dict[str, Any], provenance: Provenance, staying: Mapping[str, Any]) -> None:
        record = provenance.styles[self.plan.style_name]
        kept = {name: facts for name, facts in staying.items() if name in record.objects}
        written = {name: finished.facts for name, finished in self._finished.items()}
        report = {
            **run,
            "version": provenance.version,
            "date": record.date,
            "style": self.plan.style_name,
            "strength": self.strength,
            "network": self.network,
            "sources": {anchored(f.path, self.plan.layout.folder): f.sha256 for f in record.sources},
        }
        report["written"] = dict(sorted({**kept, **written}.items()))
        if self.plan.dial:
            report = self._dialled(report["written"])
        text = json.dumps(report, indent=2, default=str) + "\n"
        self._unfinished.layout.run.write_text(text, encoding="utf-8")

    def _dialled(self, written: dict[str, Any]) -> dict[str, Any]:
        """The report of the run that made the style, with what has another strength now."""
        report = {**read_run(self.plan.style), "written": written}
        for facts in written.values():
            if facts.get("look") in self._finished:
                facts["strength"] = self.strength
        settings = report.get("plan", {}).get("settings", {})
        if all(facts.get("strength") == self.strength for facts in written.values()):
            report["strength"] = self.strength
            if "strength" in settings:
                settings["strength"] = self.strength
        return report

    def _remove_leftovers(self) -> None:
        """Remove the half-written layers of a killed run: nobody commits now, and its process is gone."""
        for path in filter(None, (self.plan.style_layer, self.plan.root_layer, self.plan.package)):
            suffix = f".tmp{path.suffix}"
            for leftover in path.parent.glob(f".{glob.escape(path.stem)}.*{suffix}*"):
                if not is_running(leftover.name.removesuffix(ASIDE).removesuffix(suffix).rsplit(".", 1)[1]):
                    leftover.unlink(missing_ok=True)


def _has_textures(finished: Finished) -> bool:
    """Whether its folder holds more than a record and opinions."""
    return bool(finished.facts["hashes"])


def _describe(
    obj: StageObject, data: ObjectData, textures: Textures | None, remarks: list[str]
) -> dict[str, Any]:
    """One object's own facts for run.json."""
    return {
        "path": obj.path,
        "material": obj.material_path,
        "look": obj.look or obj.name,
        "group": obj.group or obj.name,
        "files": textures.written if textures else [],
        "remarks": [*obj.notes, *data.repaired, *remarks],
    }


def _how_made(
    data: ObjectData, texture: StyleTexture, strength: float, contents: StageContents
) -> dict[str, Any]:
    """Facts for run.json of how a style texture was made, which copies share; sizes are (width, height)."""
    return {
        "copy_of": "",
        "base_size": [data.bases[0].shape[1], data.bases[0].shape[0]],
        "style_size": [texture.images[0].shape[1], texture.images[0].shape[0]],
        "pixel": texture.framed.pixel if texture.framed else None,
        "windows": texture.framed.windows if texture.framed else 0,
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
    }


def _seed(run: dict[str, Any], seeds: Sequence[int]) -> int:
    """The run's own seed, or the first object's where the caller gave none."""
    settings = run.get("plan", {}).get("settings", run)
    if isinstance(settings.get("seed"), int):
        return int(settings["seed"])
    return seeds[0] if seeds else 0


def _open_layer(path: Path) -> Sdf.Layer:
    with quiet():
        return Sdf.Layer.FindOrOpen(str(path))
