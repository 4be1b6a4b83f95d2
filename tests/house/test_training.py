"""The embedded encoder: what the package ships, and the command that makes it."""

import hashlib
import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from real_weights import VGG_WEIGHTS, needs_vgg

import training
import usdstylize.encoders
from training.bank import Bank
from training.card import model_card
from training.command import SIZES, architecture_of, main, save_student
from training.distill import RunSettings, distill, map_cosines
from training.images import ManifestError, load_image, read_manifest
from usdstylize.encoders.clip import ClipResNet50
from usdstylize.encoders.draft import DraftEncoder
from usdstylize.encoders.loading import load_encoder

pytestmark = pytest.mark.slow

FOLDER = Path(usdstylize.encoders.__file__).parent
WEIGHTS, CARD = FOLDER / "draft_encoder.safetensors", FOLDER / "draft_encoder.md"


def small_bank(monkeypatch: pytest.MonkeyPatch) -> Bank:
    monkeypatch.setattr("training.bank._PER_PAINTER", {"strokes": 8, "noise": 8})
    photographs = [
        load_image(source.path) for source in read_manifest() if source.name in ("wood_base", "china")
    ]
    return Bank(photographs, "cpu", seed=0)


def test_the_card_is_right_about_the_weights() -> None:
    card = CARD.read_text(encoding="utf-8")
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() in card
    assert WEIGHTS.stat().st_size <= 1_000_000
    (length,) = struct.unpack("<Q", WEIGHTS.read_bytes()[:8])
    header = json.loads(WEIGHTS.read_bytes()[8 : 8 + length])
    parameters = sum(int(np.prod(entry["shape"])) for name, entry in header.items() if name != "__metadata__")
    assert f"{parameters:,} parameters" in card
    log = json.loads((Path(training.__file__).parent / "logs" / "shipped.json").read_text(encoding="utf-8"))
    assert model_card(log, read_manifest()) == card


@needs_vgg
def test_held_out_cosines_are_those_of_the_card() -> None:
    """Measured anew, in float32 on this machine."""
    teacher = load_encoder("vgg16", device="cpu", dtype=torch.float32, folder=VGG_WEIGHTS.parent)
    student = load_encoder("draft", device="cpu", dtype=torch.float32)
    (source,) = [source for source in read_manifest() if source.name == "ink_spheres"]
    picture = torch.from_numpy(load_image(source.path).copy()).permute(2, 0, 1).float() / 255
    picture = torch.nn.functional.interpolate(picture[None], (512, 512), mode="bilinear", antialias=True)[0]
    (found,) = map_cosines(teacher, student, {"ink_spheres": picture}).values()
    row = re.search(r"\| ink_spheres \| (.+) \|", CARD.read_text(encoding="utf-8"))
    assert row is not None
    np.testing.assert_allclose(found, [float(value) for value in row[1].split(" | ")], atol=0.002)


def test_every_image_of_the_manifest_has_a_licence_and_no_style_is_trained_on() -> None:
    sources = read_manifest()
    assert all(source.licence and source.author for source in sources)
    assert all(source.held_out for source in sources if "styles" in source.path.parts)


def test_an_image_that_is_not_the_listed_one_is_refused(tmp_path: Path) -> None:
    entry = {"package": None, "file": "README.md", "licence": "x", "author": "y", "held_out": False}
    (tmp_path / "manifest.json").write_text(json.dumps([entry | {"sha256": "0" * 64}]))
    with pytest.raises(ManifestError, match=r"README\.md is not the image"):
        read_manifest(tmp_path / "manifest.json")


@pytest.mark.parametrize("contents", [None, b"no weights"])
def test_what_is_no_student_cannot_be_gone_on_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], contents: bytes | None
) -> None:
    file = tmp_path / "earlier.safetensors"
    if contents is not None:
        file.write_bytes(contents)
    assert main(out=tmp_path / "out", start_from=file) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"training: {file} holds no draft encoder")
    assert err.endswith("give --start-from what a training wrote.\n")
    assert not (tmp_path / "out").exists()


def test_a_bank_gives_pictures_in_range_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = small_bank(monkeypatch)
    first, second = bank.crops(8, 64), bank.crops(8, 64)
    assert first.shape == (8, 3, 64, 64)
    assert 0 <= float(first.min()) < float(first.max()) <= 1
    assert float((first - second).abs().mean()) > 0.05
    assert torch.equal(small_bank(monkeypatch).crops(8, 64), first)


def test_a_student_comes_nearer_to_clip_of_random_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """CLIP's real weights cannot be had everywhere; its maps have strides, widths and signs of their own."""
    torch.manual_seed(0)
    teacher = ClipResNet50().eval().requires_grad_(False)
    architecture = architecture_of(teacher, SIZES["small"], "cpu")
    assert architecture.strides == teacher.strides
    assert architecture.smooth
    assert not architecture.rectified
    bank = small_bank(monkeypatch)
    recipe = RunSettings(steps=24, batch=4, size=64, learning_rate=3e-3)
    student = DraftEncoder(architecture)
    picture = {"crop": bank.crops(2, 128)[0]}
    before = map_cosines(teacher, student.eval(), picture)["crop"]
    trained = distill(teacher, student, bank, recipe, device="cpu")
    after = map_cosines(teacher, trained, picture)["crop"]
    assert np.mean(after) > np.mean(before) + 0.05
    save_student(trained, tmp_path / "clip.safetensors")
    again = DraftEncoder.from_file(tmp_path / "clip.safetensors").eval()
    assert map_cosines(trained, again, picture)["crop"] == pytest.approx([1.0] * len(after), abs=1e-3)
