"""Which tests show which row of docs/fidelity.md."""

from dataclasses import dataclass

__all__ = ["ROWS", "Row"]

_CASE = "storm/test_storm.py::test_live_network_and_bake_show_the_clamped_sum"
_ZERO = "storm/test_storm.py::test_strength_zero_shows_the_source_color"
_UVS = "storm/test_storm_uvs.py::test_uvs_of_every_kind_show_the_sum"
_COMPOSED = "storm/test_storm_composition.py::"
_BLENDER = "storm/test_blender.py::test_blender_shows"
_NETWORKS = "usdmtlx/test_usdmtlx.py::test_every_kind_of_network*"
_NVIDIA = "usdmtlx/test_nvidia.py::test_no_finding_is_ours"


@dataclass(frozen=True)
class Row:
    name: str
    tests: tuple[str, ...] = ()
    """``file::test`` below tests/, with or without the parametrisation; `*` and `?` match."""
    elsewhere: tuple[str, ...] = ()
    """Tests that measure no pixels, outside of tests/storm and tests/usdmtlx."""
    three_js: tuple[str, ...] = ()
    """Cases of benchmarks/clients/three_js.py."""


ROWS = (
    Row(
        "references, payloads, sublayers, variants",
        (f"{_COMPOSED}test_sublayers_variants*", f"{_NVIDIA}[still_life]"),
        ("test_read_instances.py",),
    ),
    Row(
        "layer placement",
        (
            f"{_COMPOSED}test_a_second_style*",
            "storm/test_storm_session.py::*",
            f"{_NVIDIA}[two_styles]",
            f"{_NVIDIA}[stronger_ancestor]",
        ),
        ("test_write_layers.py", "test_session.py"),
    ),
    Row("other strengths", ("storm/test_storm_dial.py::*",), ("test_write_dial.py",)),
    Row("mixes of styles", ("storm/test_storm_mix.py::*", f"{_NVIDIA}[mix]"), ("test_write_mix.py",)),
    Row(
        "GeomSubsets",
        (
            "storm/test_storm.py::test_each_subset*",
            "storm/test_storm_geometry.py::test_a_subset*",
            f"{_BLENDER}_each_subset",
            f"{_NVIDIA}[subsets]",
        ),
    ),
    Row(
        "instances",
        ("storm/test_storm_instances.py::*", f"{_BLENDER}_instances", f"{_NVIDIA}[instance*]"),
        ("test_read_instances.py", "test_write_instances.py"),
    ),
    Row(
        "materials shared by many objects",
        ("storm/test_storm_groups.py::test_objects_that_share*", f"{_NVIDIA}[shared_look]"),
        ("test_groups.py",),
    ),
    Row(
        "UVs",
        (
            "storm/test_storm_uvs.py::*",
            "storm/test_storm_mapping.py::*",
            "storm/test_storm_uv_names.py::*",
            _NETWORKS,
            *(
                f"{_CASE}[{case}]"
                for case in ("transform", "mirror and clamp", "black and repeat", "primvar*")
            ),
            *(
                f"{_BLENDER}_the_bake[{case}]"
                for case in (
                    "*transform*",
                    "negative*",
                    "repeat",
                    "mirror",
                    "clamp",
                    "black",
                    "far*",
                    "*oord*",
                )
            ),
        ),
        three_js=("repeat", "mirror", "clamp", "far outside", "texCoord2h", "transform without rotation"),
    ),
    Row(
        "no UVs",
        ("storm/test_storm_geometry.py::test_a_display_color*", f"{_NVIDIA}[unwrapped]"),
        ("test_read_unwrap.py",),
    ),
    Row(
        "UDIM", ("storm/test_storm_groups.py::test_each_tile*", f"{_BLENDER}_each_tile*", f"{_NVIDIA}[udim]")
    ),
    Row(
        "texture formats",
        (
            *(f"{_CASE}[{case}]" for case in ("*texture*",)),
            "storm/test_storm_formats.py::*",
            _NETWORKS,
            f"{_BLENDER}_the_bake[*texture*]",
        ),
        ("test_read_images.py", "test_read_color.py", "test_write_textures.py"),
        three_js=("sRGB texture", "raw texture with scale and bias", "grey texture"),
    ),
    Row(
        "emission and unlit",
        ("storm/test_storm_emission.py::*", _NETWORKS, "usdmtlx/test_usdmtlx.py::test_surfaces*"),
        ("test_write_emission.py",),
    ),
    Row(
        "linear textures of any size",
        ("storm/test_storm_linear.py::*",),
        ("test_filtering.py", "test_write_textures.py"),
    ),
    Row("gutters", ("storm/test_storm_gutters.py::*",), ("test_gutters.py",)),
    Row("usdz", (f"{_NVIDIA}[usdz]", "storm/test_storm_package.py::*"), ("test_package.py",)),
    Row(
        "MaterialX materials",
        ("storm/test_storm_materialx.py::*", "usdmtlx/test_usdmtlx.py::*"),
        (
            "test_read_materialx.py",
            "test_read_materialx_graphs.py",
            "test_write_materialx.py",
            "test_write_mtlx_surfaces.py",
        ),
    ),
    Row(
        "the other inputs",
        ("storm/test_storm_inputs.py::*", "storm/test_storm.py::test_strength_zero_is_lit*", _NETWORKS),
        ("test_write_surfaces.py",),
    ),
    Row(
        "`.mtlx` references",
        ("storm/test_storm_documents.py::*", "usdmtlx/test_documents.py::*"),
        ("test_read_mtlx_documents.py", "test_write_mtlx_documents.py"),
    ),
    Row(
        "MDL (OmniPBR)",
        ("storm/test_storm_mdl.py::*", "usdmtlx/test_mdl.py::*"),
        ("test_read_mdl.py", "test_write_mdl.py", "test_write_mdl_surfaces.py"),
    ),
    Row("other networks", (f"{_NVIDIA}[*_renderers]",), ("test_write_contexts.py",)),
    Row(
        "displayColor, constant colour",
        (
            *(f"{test}[{case}]" for test in (_CASE, _ZERO) for case in ("constant", "displayColor")),
            "storm/test_storm_geometry.py::test_a_display_color*",
            f"{_BLENDER}_the_bake[constant]",
            f"{_BLENDER}_the_bake[displayColor]",
            f"{_NVIDIA}[display_color]",
        ),
        three_js=("constant", "displayColor"),
    ),
    Row(
        "displayOpacity",
        ("storm/test_storm_geometry.py::test_a_mesh_without_a_material*", f"{_NVIDIA}[display_color]"),
    ),
    Row(
        "deforming and skinned meshes",
        ("storm/test_storm_geometry.py::test_the_texture_of_a_skinned*", f"{_NVIDIA}[skinned]"),
        ("test_read_skinning.py",),
    ),
    Row(
        "subdivision surfaces",
        ("storm/test_storm_subdivision.py::*", f"{_NVIDIA}[subdivided]"),
        ("test_read_subdivision.py",),
    ),
    Row(
        "purposes, visibility, kind",
        ("storm/test_storm_purposes.py::*", f"{_NVIDIA}[purposes]"),
        ("test_read_instances.py", "test_groups.py", "test_write_layers.py"),
    ),
    Row("`StylizeAPI`", (f"{_NVIDIA}[stylize_api]",), ("test_schema.py",)),
    Row(
        "metadata",
        (f"{_COMPOSED}test_sublayers_variants*", f"{_NVIDIA}[metadata]"),
        ("test_write_metadata.py", "test_write_output.py"),
    ),
)
