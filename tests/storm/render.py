"""Render stages with Hydra Storm, without a GPU or a display, for the tests beside this file.

Run by a Python of its own that has `bpy` (5.0.1: its wheel bundles OpenUSD 25.08 with Storm and
MaterialX), never by the one that has usd-core. Software rendering goes through Mesa's llvmpipe on
a surfaceless EGL display.

    python render.py jobs.json

`jobs.json` is a list of {"stage", "out" (.exr, linear, half), "camera", "width"} and optionally
"unlit" (true: a pixel is the material's own linear diffuse colour, no light), "dark" (true: no light,
so that emission alone shows), "preview" (true: materials lose their MaterialX surface, so that their
UsdPreviewSurface shows), "variants" ({prim path: variant of its set "style"}) and "values"
({attribute path: number}), all in the session layer, "session" (a layer to lay under these), "frame"
(a time code), "complexity" (1 to 2, refinement of subdivision surfaces) and "purposes" (default and
render where not given). Exit code 1 when a render fails.

Make triangles large, or pictures small: llvmpipe does not store the texture coordinates that a
MaterialX shader keeps in a global for pixels that a triangle does not cover, so their differences
are wrong along every edge, and with them the mip level. A GPU does store them.
"""

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("LIBGL_ALWAYS_SOFTWARE", "1")
os.environ.setdefault("GALLIUM_DRIVER", "llvmpipe")
# llvmpipe's anisotropic filter is a Gaussian that blurs even magnified texels; Storm asks for it
# wherever it is offered. (Storm then complains of an invalid enum; see `render`.)
os.environ.setdefault(
    "MESA_EXTENSION_OVERRIDE", "-GL_EXT_texture_filter_anisotropic -GL_ARB_texture_filter_anisotropic"
)

_bpy = next(Path(p) / "bpy" for p in sys.path if (Path(p) / "bpy/lib/libusd_ms.so").exists())
_version = next(folder for folder in _bpy.iterdir() if folder.name[0].isdigit())
sys.path.insert(0, str(_version / "python/lib/python3.11/site-packages"))
os.environ.setdefault("PXR_MTLX_STDLIB_SEARCH_PATHS", str(_bpy / "lib/materialx/libraries"))

from pxr import Sdf, Tf, Usd, UsdAppUtils, UsdGeom, UsdShade  # noqa: E402

_EGL_PLATFORM_SURFACELESS_MESA = 0x31DD
_EGL_OPENGL_API = 0x30A2
_EGL_NONE = 0x3038
_CONFIG = (0x3033, 1, 0x3040, 8, 0x3024, 8, 0x3023, 8, 0x3022, 8, 0x3025, 24, _EGL_NONE)
"""Pbuffer surfaces, desktop OpenGL, 8 bits each of red, green, blue, 24 of depth."""
_COMPATIBILITY_PROFILE = (0x3098, 4, 0x30FB, 5, 0x30FD, 2, _EGL_NONE)
"""OpenGL 4.5."""


def make_context() -> None:
    """Make an offscreen OpenGL context current; Storm draws into the one it finds."""
    egl = ctypes.CDLL("libEGL.so.1")
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    get_display = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(
        egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    )
    egl.eglCreateContext.restype = egl.eglCreatePbufferSurface.restype = ctypes.c_void_p
    display = ctypes.c_void_p(get_display(_EGL_PLATFORM_SURFACELESS_MESA, None, None))
    config, count = ctypes.c_void_p(), ctypes.c_int()
    attributes = (ctypes.c_int * len(_CONFIG))(*_CONFIG)
    profile = (ctypes.c_int * len(_COMPATIBILITY_PROFILE))(*_COMPATIBILITY_PROFILE)
    size = (ctypes.c_int * 5)(0x3057, 64, 0x3056, 64, _EGL_NONE)
    ok = (
        egl.eglInitialize(display, None, None)
        and egl.eglBindAPI(_EGL_OPENGL_API)
        and egl.eglChooseConfig(display, attributes, ctypes.byref(config), 1, ctypes.byref(count))
        and count.value
    )
    if not ok:
        sys.exit("EGL offers no offscreen OpenGL here; install libegl1 and libgl1-mesa-dri.")
    surface = ctypes.c_void_p(egl.eglCreatePbufferSurface(display, config, size))
    context = ctypes.c_void_p(egl.eglCreateContext(display, config, None, profile))
    if not egl.eglMakeCurrent(display, surface, surface, context):
        sys.exit(f"EGL cannot make its OpenGL context current, error {egl.eglGetError():#x}.")


def bound_materials(stage: Usd.Stage) -> set[Sdf.Path]:
    """Paths of the materials that some mesh or subset of the stage shows."""
    found = set()
    # Mere overs, too: a PointInstancer draws such prototypes.
    drawn = Usd.TraverseInstanceProxies(Usd.PrimIsActive & Usd.PrimIsLoaded & ~Usd.PrimIsAbstract)
    for prim in Usd.PrimRange(stage.GetPseudoRoot(), drawn):
        if prim.IsA(UsdGeom.Gprim) or prim.IsA(UsdGeom.Subset):
            material = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()[0]
            if material:
                found.add(material.GetPath())
    return found


def make_unlit(stage: Usd.Stage) -> None:
    """Route each shown material's diffuse colour to emission and leave nothing for light."""
    for path in bound_materials(stage):
        shaders = {}
        for context in ("mtlx", ""):
            shader = UsdShade.Material.Get(stage, path).ComputeSurfaceSource(context)[0]
            if shader:
                shaders[shader.GetPath()] = shader
        for shader in shaders.values():
            diffuse = shader.GetInput("diffuseColor")
            if shader.GetInput("base_color"):
                # Another MaterialX surface: one that is known to leave emission alone takes its color.
                diffuse = shader.GetInput("base_color")
                shader = UsdShade.Shader.Define(stage, shader.GetPath().GetParentPath().AppendChild("Unlit"))
                shader.CreateIdAttr("ND_UsdPreviewSurface_surfaceshader")
                output = UsdShade.Material.Get(stage, path).CreateSurfaceOutput("mtlx")
                output.GetAttr().SetConnections([])
                output.ConnectToSource(shader.CreateOutput("out", Sdf.ValueTypeNames.Token))
            emissive = shader.CreateInput("emissiveColor", Sdf.ValueTypeNames.Color3f)
            sources = diffuse.GetConnectedSources()[0] if diffuse else []
            if sources:
                emissive.ConnectToSource(sources[0])
                diffuse.GetAttr().SetConnections([])
            else:
                emissive.GetAttr().SetConnections([])
                emissive.Set(diffuse.Get() if diffuse and diffuse.Get() is not None else (0.18,) * 3)
            for name, type_name, value in (
                ("diffuseColor", Sdf.ValueTypeNames.Color3f, (0, 0, 0)),
                ("specularColor", Sdf.ValueTypeNames.Color3f, (0, 0, 0)),
                ("useSpecularWorkflow", Sdf.ValueTypeNames.Int, 1),
                ("clearcoat", Sdf.ValueTypeNames.Float, 0),
            ):
                item = shader.CreateInput(name, type_name)
                item.GetAttr().SetConnections([])
                item.Set(value)


def render(job: dict[str, Any]) -> bool:
    stage = Usd.Stage.Open(job["stage"])
    if "session" in job:
        stage.GetSessionLayer().subLayerPaths.append(job["session"])
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        for path, variant in job.get("variants", {}).items():
            stage.GetPrimAtPath(path).GetVariantSet("style").SetVariantSelection(variant)
        for path, value in job.get("values", {}).items():
            stage.GetAttributeAtPath(path).Set(value)
        if job.get("preview"):
            for path in bound_materials(stage):
                UsdShade.Material.Get(stage, path).CreateSurfaceOutput("mtlx").GetAttr().SetConnections([])
        if job.get("unlit"):
            make_unlit(stage)
    recorder = UsdAppUtils.FrameRecorder()
    recorder.SetRendererPlugin("HdStormRendererPlugin")
    recorder.SetImageWidth(job["width"])
    recorder.SetColorCorrectionMode("disabled")
    recorder.SetCameraLightEnabled(not job.get("unlit") and not job.get("dark"))
    recorder.SetIncludedPurposes(job.get("purposes", ["default", "render"]))
    recorder.SetComplexity(job.get("complexity", 1.0))
    time = Usd.TimeCode(job["frame"]) if "frame" in job else Usd.TimeCode.EarliestTime()
    camera = UsdGeom.Camera(stage.GetPrimAtPath(job["camera"]))
    try:
        return bool(recorder.Record(stage, camera, time, job["out"]))
    except Tf.ErrorException as errors:
        # Raised after the picture is written, and about the anisotropy taken away above only.
        return all("GL error: invalid enum" in str(e) for e in errors.args) and Path(job["out"]).is_file()


def main() -> None:
    make_context()
    jobs = json.loads(Path(sys.argv[1]).read_text())
    failed = [job["out"] for job in jobs if not render(job)]
    if failed:
        sys.exit(f"Storm did not render {', '.join(failed)}.")


if __name__ == "__main__":
    main()
