"""A written result, to write variants of it anew: which object holds which styles, and what they are of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pxr import Sdf

from usdstylize.errors import OutputError
from usdstylize.usd.write.contexts import blocked_contexts
from usdstylize.usd.write.instancing import heroes_of
from usdstylize.usd.write.layout import ResultLayout
from usdstylize.usd.write.material import VARIANT_SET
from usdstylize.usd.write.parts import MIX, Dialled, Facts, Mixed
from usdstylize.usd.write.provenance import Provenance, read_layer, read_provenance
from usdstylize.usd.write.selection import find_style_layer, masked_materials, stylized_materials

__all__ = ["Mixable"]


@dataclass(frozen=True)
class Mixable:
    """A result as it lies on the disk now."""

    root_layer: Path
    layout: ResultLayout
    provenance: Provenance
    facts: Facts
    layer: Sdf.Layer
    """The style layer."""
    materials: dict[str, tuple[str, Sdf.PrimSpec]]
    """By object name, of each that has a material of its own: its prim path, and that material."""

    @classmethod
    def read(cls, root_layer: Path) -> "Mixable":
        """Raises OutputError where ``root_layer`` is no result."""
        root_layer = root_layer.absolute()
        path = find_style_layer(root_layer)
        layer = read_layer(path)
        provenance = read_provenance(layer, path.parent) if layer else None
        if layer is None or provenance is None:
            raise OutputError(f"{path} is no style layer of usdstylize; run again with --force.")
        layout = ResultLayout.of(provenance.source, root_layer)
        if layout.style_layer != path:
            raise OutputError(
                f"{root_layer} has its style layer elsewhere, at {path}; give the root layer beside that."
            )
        materials = {spec.name: (owner, spec) for owner, spec in stylized_materials(layer)}
        return cls(root_layer, layout, provenance, Facts(layout), layer, materials)

    @property
    def styles(self) -> list[str]:
        """Names of the styles that can be mixed."""
        return sorted(self.provenance.styles.keys() - {MIX})

    @property
    def heroes(self) -> tuple[str, ...]:
        """As `heroes_of`."""
        return heroes_of(self.layer)

    @property
    def owners(self) -> dict[str, str]:
        """By object name, of each that has a material of its own: its prim path."""
        return {name: owner for name, (owner, _) in self.materials.items()}

    def held(self, styles: Sequence[str], mask: Sequence[str]) -> dict[str, list[str]]:
        """By name of each object at or under ``mask``: which of ``styles`` it holds, in their order.

        Raises StageError where a path of the mask names no object.
        """
        masked = masked_materials(self.layer, self.root_layer, mask)
        return {spec.name: [style for style in styles if self._holds(spec, style)] for _, spec in masked}

    def mixed(self, name: str, strengths: Mapping[str, float]) -> Mixed:
        """What a mix of styles that the object holds is made of. Raises OutputError."""
        parts = self.facts.mixed(name, strengths)
        variants = self.materials[name][1].variantSets[VARIANT_SET].variants
        blocked = [blocked_contexts(variants[style].primSpec) for style in strengths]
        return Mixed(
            parts=parts,
            textures=tuple(self.facts.textures(part) for part in parts),
            network=self.facts.network(parts, name),
            blocked=frozenset(set.intersection(*blocked)),
        )

    def dialled(self, style: str, name: str, strength: float) -> Dialled:
        """A style that the object holds, with another strength. Raises OutputError."""
        (part,) = self.facts.parts(style, name)
        variant = self.materials[name][1].variantSets[VARIANT_SET].variants[style]
        return Dialled(
            part=replace(part, strength=strength),
            facts=self.facts.of(style, name),
            blocked=frozenset(blocked_contexts(variant.primSpec)),
        )

    def _holds(self, material: Sdf.PrimSpec, style: str) -> bool:
        variants = material.variantSets[VARIANT_SET].variants
        return style in variants and material.name in self.provenance.styles[style].objects
