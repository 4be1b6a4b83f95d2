"""Export materials with a Mapping node by Blender's own exporter, for test_storm_mapping.py.

Run by the Python that has `bpy`, as render.py is.

    python blender_mapping.py jobs.json

`jobs.json` is a list of {"out" (.usda), "image" (.png), "kind" (of the node: POINT or TEXTURE), "location",
"rotation" (degrees), "scale", "uv_map" (the name that a UV Map node has; empty for a Texture Coordinate
node)}. The image is mirrored beyond 0..1. The material is /root/_materials/Paint, with a MaterialX and a
preview network.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import bpy


def export(job: dict[str, Any]) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_plane_add(size=2)
    plane = bpy.context.object
    material = bpy.data.materials.new("Paint")
    material.use_nodes = True
    tree = material.node_tree
    image = tree.nodes.new("ShaderNodeTexImage")
    image.image = bpy.data.images.load(job["image"])
    image.extension = "MIRROR"
    mapping = tree.nodes.new("ShaderNodeMapping")
    mapping.vector_type = job["kind"]
    mapping.inputs["Rotation"].default_value = [math.radians(angle) for angle in job["rotation"]]
    mapping.inputs["Scale"].default_value = job["scale"]
    mapping.inputs["Location"].default_value = job["location"]
    if job["uv_map"]:
        uvs = tree.nodes.new("ShaderNodeUVMap")
        uvs.uv_map = job["uv_map"]
    else:
        uvs = tree.nodes.new("ShaderNodeTexCoord")
    tree.links.new(uvs.outputs["UV"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], image.inputs["Vector"])
    tree.links.new(image.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])
    plane.data.materials.append(material)
    bpy.ops.wm.usd_export(
        filepath=job["out"],
        generate_preview_surface=True,
        generate_materialx_network=True,
        export_textures_mode="KEEP",
        relative_paths=True,
    )


def main() -> None:
    for job in json.loads(Path(sys.argv[1]).read_text()):
        export(job)


if __name__ == "__main__":
    main()
