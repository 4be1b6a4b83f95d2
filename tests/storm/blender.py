"""Render stages with Blender: its own USD importer, Cycles on the CPU, for the tests beside this file.

Run by the Python that has `bpy`, as render.py is.

    python blender.py jobs.json

`jobs.json` is a list of {"stage", "out" (.exr, linear, float), "camera" (prim name), "width"}. A pixel is
the material's own linear base colour at the pixel's centre: whatever feeds "Base Color" of the
imported Principled BSDF is shown as emission, without light. Blender reads UsdPreviewSurface only.
"""

import json
import sys
from pathlib import Path
from typing import Any

import bpy


def show_base_color(material: "bpy.types.Material") -> None:
    """Emit what the Principled BSDF takes for its base colour."""
    tree = material.node_tree
    for shader in [node for node in tree.nodes if node.type == "BSDF_PRINCIPLED"]:
        base = shader.inputs["Base Color"]
        emission = tree.nodes.new("ShaderNodeEmission")
        emission.inputs["Color"].default_value = base.default_value
        for link in base.links:
            tree.links.new(link.from_socket, emission.inputs["Color"])
        for link in list(shader.outputs["BSDF"].links):
            tree.links.new(emission.outputs["Emission"], link.to_socket)


def render(job: dict[str, Any]) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    # Files are read in place, except those inside a package.
    mode = "IMPORT_PACK" if job["stage"].endswith(".usdz") else "IMPORT_NONE"
    bpy.ops.wm.usd_import(filepath=job["stage"], import_textures_mode=mode)
    for material in bpy.data.materials:
        show_base_color(material)
    scene = bpy.context.scene
    scene.camera = bpy.data.objects[job["camera"]]
    # The importer takes USD's aperture, which counts tenths of a unit, for units.
    scene.camera.data.ortho_scale /= 10
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = 1
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.use_denoising = False
    # One sample in the middle of the pixel.
    scene.cycles.pixel_filter_type = "BOX"
    scene.render.filter_size = 0.01
    scene.cycles.filter_width = 0.01
    scene.render.resolution_x = scene.render.resolution_y = job["width"]
    scene.render.resolution_percentage = 100
    scene.render.threads_mode = "FIXED"
    scene.render.threads = 1
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.image_settings.color_depth = "32"
    scene.render.filepath = job["out"]
    bpy.ops.render.render(write_still=True)


def main() -> None:
    jobs = json.loads(Path(sys.argv[1]).read_text())
    for job in jobs:
        render(job)
    missing = [job["out"] for job in jobs if not Path(job["out"]).is_file()]
    if missing:
        sys.exit(f"Blender did not render {', '.join(missing)}.")


if __name__ == "__main__":
    main()
