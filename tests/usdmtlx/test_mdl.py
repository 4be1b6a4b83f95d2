"""A stylised OmniPBR before usd-exchange's validators: nothing wrong but what its source has already."""

import subprocess
from pathlib import Path

import pytest
from author_results import write_result
from mdl_stages import LOOK, make_stage
from pxr import Gf

from .nvidia import own_findings
from .usdmtlx_python import USDMTLX_PYTHON

pytestmark = pytest.mark.usdmtlx


def found(stage: Path) -> set[str]:
    """What is found; that no registry knows MDL without Omniverse is part of it."""
    script = Path(__file__).with_name("validate_with_usdmtlx.py")
    command = [str(USDMTLX_PYTHON), str(script), str(stage)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return {line.partition(": ")[2] for line in done.stdout.splitlines()}


def test_nothing_new_is_wrong(tmp_path: Path) -> None:
    source = make_stage(
        tmp_path,
        diffuse_texture="./color.png",
        diffuse_tint=Gf.Vec3f(0.5),
        albedo_desaturation=0.3,
        normalmap_texture="./color.png",
        texture_rotate=30.0,
    )
    before = found(source)
    assert any("sourceType 'mdl'" in text for text in before)
    styled, result = "/World/StylizedLooks/World__Quad", write_result(source)
    assert {text.replace(styled, LOOK) for text in found(result)} == before
    # Among NVIDIA's own rules are those for MDL: where its module and its textures lie.
    assert own_findings(result) == []
