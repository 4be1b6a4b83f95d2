"""Where weights are looked for, that only the right bytes are taken, and how they are fetched."""

import dataclasses
import hashlib
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from usdstylize.encoders import ENCODERS, WeightFile, weights
from usdstylize.errors import WeightsError

SHARED = Path(__file__).parents[3] / "shared" / "weights"
RN50 = "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, so that this machine's own caches play no part."""
    for name in ("USDSTYLIZE_WEIGHTS", "TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    return home


def put(path: Path, content: bytes = b"not the weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_draft_encoder_is_in_the_package() -> None:
    path = weights.locate("draft", None)
    assert path.name == "draft_encoder.safetensors"
    assert path.is_relative_to(Path(weights.__file__).parent)


def test_missing_weights_name_the_files_the_folders_and_the_ways_out(home: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as error:
        weights.locate("clip-rn50", tmp_path)
    message = str(error.value)
    for part in (
        "RN50.pt",
        "open_clip_model.safetensors",
        str(tmp_path),
        str(home / ".cache" / "clip"),
        "models--timm--resnet50_clip.openai",
        "usdstylize weights --fetch",
        "--weights DIR",
        "--preset draft",
    ):
        assert part in message


def test_folders_are_searched_in_the_documented_order(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A wrong file is refused where it is met first, so its name shows the order.
    own = put(tmp_path / "own" / "RN50.pt")
    environment = put(tmp_path / "environment" / "RN50.pt")
    cache = put(home / ".cache" / "clip" / "RN50.pt")
    monkeypatch.setenv("USDSTYLIZE_WEIGHTS", str(environment.parent))
    for folder, expected in ((own.parent, own), (None, environment)):
        with pytest.raises(WeightsError, match=re.escape(f"{expected} is not the RN50.pt expected")):
            weights.locate("clip-rn50", folder)
    environment.unlink()
    with pytest.raises(WeightsError, match=re.escape(str(cache))):
        weights.locate("clip-rn50", None)


def test_the_caches_are_those_of_torch_hub_and_the_hugging_face_hub(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    import torch

    for torch_home in (None, tmp_path / "torch_home"):
        if torch_home:
            monkeypatch.setenv("TORCH_HOME", str(torch_home))
        file = put(Path(torch.hub.get_dir()) / "checkpoints" / "vgg16-397923af.pth")
        with pytest.raises(WeightsError, match=re.escape(str(file))):
            weights.locate("vgg16", None)

    repository, name = "timm/resnet50_clip.openai", "open_clip_model.safetensors"
    hub = home / ".cache" / "huggingface" / "hub"
    folder = hub / "models--timm--resnet50_clip.openai"
    put(folder / "refs" / "main", b"abc")
    file = put(folder / "snapshots" / "abc" / name)
    assert huggingface_hub.try_to_load_from_cache(repository, name, cache_dir=hub) == str(file)
    with pytest.raises(WeightsError, match=re.escape(str(file))):
        weights.locate("clip-rn50", None)


def test_a_wrong_file_is_refused_with_both_hashes(tmp_path: Path) -> None:
    put(tmp_path / "RN50.pt", b"corrupt")
    found = hashlib.sha256(b"corrupt").hexdigest()
    with pytest.raises(WeightsError, match=f"its sha256 is {found}, not {RN50}"):
        weights.locate("clip-rn50", tmp_path)


def test_a_folder_that_does_not_exist_is_no_silent_fallback(tmp_path: Path) -> None:
    for call in (weights.report, lambda folder: weights.locate("vgg16", folder)):
        with pytest.raises(WeightsError, match="nowhere is not a folder"):
            call(tmp_path / "nowhere")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/weights: real VGG16 weights")
def test_real_vgg16_weights_are_found_and_a_changed_bit_is_refused(tmp_path: Path) -> None:
    file = shutil.copy(SHARED / "vgg16_features_fp16.safetensors", tmp_path)
    assert weights.locate("vgg16", tmp_path) == Path(file)
    content = bytearray(Path(file).read_bytes())
    content[-1] ^= 1
    put(Path(file), bytes(content))
    with pytest.raises(WeightsError, match=r"vgg16_features_fp16\.safetensors is not the"):
        weights.locate("vgg16", tmp_path)


def test_the_report_has_ok_missing_and_refused_and_which_preset_needs_what(tmp_path: Path) -> None:
    put(tmp_path / "RN50.pt")
    report = {status.name: status for status in weights.report(tmp_path)}
    assert {name: status.state for name, status in report.items()} == {
        "draft": "ok",
        "clip-rn50": "refused",
        "vgg16": "missing",
        "squeezenet": "missing",
    }
    assert report["draft"].presets == ("draft",)
    assert report["vgg16"].presets == report["clip-rn50"].presets == ("standard", "paper")
    assert report["clip-rn50"].path == tmp_path / "RN50.pt"
    assert report["vgg16"].path is None


def test_the_libraries_urls_agree_with_the_hashes_we_expect() -> None:
    # OpenAI puts the hash into the URL, torchvision its first digits into the file name.
    address = {name: spec.url() for name, spec in ENCODERS.items() if spec.url is not None}
    assert address["clip-rn50"].split("/")[-2:] == [RN50, "RN50.pt"]
    for encoder, stem in (("vgg16", "vgg16"), ("squeezenet", "squeezenet1_1")):
        name = address[encoder].rsplit("/", 1)[-1]
        file = ENCODERS[encoder].files[0]
        assert name == file.name == f"{stem}-{file.sha256[:8]}.pth"


# Fetching, from a server on this machine


def change(monkeypatch: pytest.MonkeyPatch, **fields: object) -> None:
    """Of clip-rn50 in the registry."""
    spec = dataclasses.replace(ENCODERS["clip-rn50"], **fields)  # type: ignore[arg-type]
    monkeypatch.setitem(ENCODERS, "clip-rn50", spec)


class Server(BaseHTTPRequestHandler):
    body, announced = b"weights " * 300_000, 8 * 300_000

    def do_GET(self) -> None:
        self.send_response(404 if "missing" in self.path else 200)
        self.send_header("Content-Length", str(self.announced if "short" not in self.path else 10**9))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), Server) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def test_a_fetched_file_is_checked_and_then_found(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = WeightFile("RN50.pt", hashlib.sha256(Server.body).hexdigest())
    change(monkeypatch, files=(file,), url=lambda: f"{server}/RN50.pt")
    reports: list[tuple[int, int | None]] = []
    path = weights.fetch("clip-rn50", tmp_path / "new", lambda *progress: reports.append(progress))
    assert path.read_bytes() == Server.body
    assert path.stat().st_mode & 0o044, "others on the farm must be able to read it"
    assert reports[-1] == (len(Server.body), len(Server.body))
    assert weights.locate("clip-rn50", tmp_path / "new") == path
    assert list((tmp_path / "new").iterdir()) == [path]


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("RN50.pt", "is not the RN50.pt expected.*nothing was kept"),
        ("short", "broke after 2400000 of 1000000000 bytes"),
        ("missing", "could not be downloaded.*Not Found"),
    ],
)
def test_a_download_that_fails_or_is_wrong_leaves_nothing(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, message: str
) -> None:
    change(monkeypatch, url=lambda: f"{server}/{page}")
    with pytest.raises(WeightsError, match=message):
        weights.fetch("clip-rn50", tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_without_a_network_fetching_says_so_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # the discard port: nobody listens
    with pytest.raises(WeightsError, match=r"RN50\.pt could not be downloaded .*refused.*--weights DIR"):
        weights.fetch("clip-rn50", tmp_path)
    assert not list(tmp_path.glob("*RN50*"))


def test_what_is_there_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    change(monkeypatch, files=(WeightFile("RN50.pt", hashlib.sha256(b"good").hexdigest()),))
    cached = put(Path.home() / ".cache" / "clip" / "RN50.pt", b"good")
    assert weights.fetch("clip-rn50", None) == cached
    # a folder that is to be complete in itself, such as a farm's, does not count on this home
    with pytest.raises(WeightsError, match="could not be downloaded"):
        weights.fetch("clip-rn50", tmp_path / "farm")


def test_fetching_into_what_is_no_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"RN50\.pt cannot be written \(File exists\)"):
        weights.fetch("clip-rn50", put(tmp_path / "taken"))


def test_fetching_never_replaces_a_file_it_does_not_know(tmp_path: Path) -> None:
    file = put(tmp_path / "RN50.pt")
    with pytest.raises(WeightsError, match=r"is not the RN50\.pt expected"):
        weights.fetch("clip-rn50", tmp_path)
    assert file.read_bytes() == b"not the weights"
