"""What three.js's USDLoader shows of a result, in a real headless Chromium.

    python -m benchmarks.clients.three_js [--json OUT.json]

Fetches three.js (pinned below) with npm into a temporary folder and serves it to Chromium
(`chromium-headless-shell` of Debian, or what CHROMIUM names), which draws with its own software
rasteriser. The loader knows references, payloads and variants, but no sublayers, so what it gets is
the *flattened* result as a .usdz; it reads UsdPreviewSurface and PNG or JPEG textures. Per case: max abs
in linear at texel centres against clamp(T + T_S), and the same for the source stage, against T.
"""

import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from cyclopts import App
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdUtils

from tests.storm import test_blender as cases
from tests.storm.storm_scenes import Paint

PLACED = {"scale": (3.0, 1.0), "rotation": 0.0, "translation": (0.25, 0.125)}
CASES = (
    cases.SHOWN
    | {
        "wrap modes repeat and mirror": cases.Case(Paint("./T.png", wrap=("repeat", "mirror")), cases.WIDE),
        "transform without rotation": cases.Case(Paint("./T.png", transform=PLACED)),
    }
    | cases.NOT_SHOWN
)
THREE = "three@0.187.0"
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-dev-shm-usage", "--use-gl=angle",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
)  # fmt: skip
TIMEOUT = 300

app = App(name="benchmarks.clients.three_js", help="What three.js's USDLoader shows of a result.")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, the list of jobs at /jobs, and takes pixels at /result/<number>."""

    def __init__(self, *args: Any, jobs: list[dict[str, Any]], done: threading.Event, **options: Any) -> None:
        self.jobs, self.done = jobs, done
        super().__init__(*args, **options)

    def do_GET(self) -> None:
        if self.path != "/jobs":
            super().do_GET()
            return
        body = json.dumps([{"url": job["url"], "width": job["width"]} for job in self.jobs]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        job = self.jobs[int(self.path.rpartition("/")[2])]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        job["info"] = json.loads(self.headers["X-Info"])
        pixels = np.frombuffer(body, np.float32)
        if pixels.size:
            job["pixels"] = pixels.reshape(job["width"], job["width"], 4)[::-1, :, :3].astype(np.float64)
        self.send_response(204)
        self.end_headers()
        if all("info" in each for each in self.jobs):
            self.done.set()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def browse(folder: Path, jobs: list[dict[str, Any]]) -> None:
    """Have Chromium draw each job {"url", "width"} served from ``folder``; adds "info" and "pixels".

    Exits where there is no browser, no npm, or no answer.
    """
    named = os.environ.get("CHROMIUM")
    browser = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None or shutil.which("npm") is None:
        sys.exit("This needs npm and Chromium (Debian: chromium-headless-shell), or set CHROMIUM.")
    install = [
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(folder / "npm"),
        THREE,
    ]
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (folder / "three").symlink_to(folder / "npm" / "node_modules" / "three")
    shutil.copy(Path(__file__).with_suffix(".html"), folder / "index.html")
    done = threading.Event()
    handler = partial(Handler, jobs=jobs, done=done, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        profile = f"--user-data-dir={folder / 'profile'}"
        port = "--remote-debugging-port=0"
        url = f"http://127.0.0.1:{server.server_address[1]}/index.html"
        process = subprocess.Popen(
            [browser, *FLAGS, profile, port, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            if not done.wait(TIMEOUT):
                sys.exit(f"{browser} drew nothing in {TIMEOUT} s.")
        finally:
            process.terminate()
            process.wait()
            server.shutdown()


def flatten(stage: Path, package: Path) -> None:
    """The composed stage as one .usdz: the loader does not read sublayers."""
    flat = package.with_suffix(".usda")  # of a .usdc it misreads short vectors, so of a camera the place
    Usd.Stage.Open(str(stage)).Export(str(flat))
    if not UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(flat)), str(package)):
        sys.exit(f"{stage} cannot be packed as {package.name}.")


def prepare(folder: Path) -> list[dict[str, Any]]:
    """The known-pixel scenes of tests/storm, stylised and packed: bake and source of each."""
    jobs = []
    for number, (name, case) in enumerate(CASES.items()):
        stages = cases.make_case(folder / f"case{number}", case)
        width = cases.picture_width(case)
        for kind, stage in zip(("bake", "source"), stages, strict=True):
            flatten(stage, folder / f"case{number}" / f"{kind}.usdz")
            jobs.append({"name": name, "kind": kind, "url": f"/case{number}/{kind}.usdz", "width": width})
    return jobs


def error(pixels: NDArray[np.float64] | None, wanted: NDArray[np.float64], where: NDArray[np.bool_]) -> float:
    return 1.0 if pixels is None else float(np.abs(pixels - wanted)[where].max())


@app.default
def main(*, json_out: Path | None = None) -> int:
    """Print the largest error of every case; exit code 1 where only the source is shown right.

    Parameters
    ----------
    json_out
        Also write the numbers here.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        jobs = prepare(folder)
        browse(folder, jobs)
    print(f"three.js r{jobs[0]['info']['revision']}, {jobs[0]['info']['agent']}")
    print(f"{'':40}{'bake':>8}{'source':>8}")
    rows = {}
    for bake, source in zip(jobs[::2], jobs[1::2], strict=True):
        centred, wanted, plain = cases.references(bake["name"], CASES[bake["name"]])
        rows[bake["name"]] = {
            "bake": error(bake.get("pixels"), wanted, centred),
            "source": error(source.get("pixels"), plain, centred),
        }
        values = "".join(f"{value:8.4f}" for value in rows[bake["name"]].values())
        print(f"{bake['name']:40}{values}  {bake['info']['error']}")
    if json_out is not None:
        json_out.write_text(json.dumps({"info": jobs[0]["info"], "cases": rows}, indent=1))
    worse = [name for name, row in rows.items() if row["bake"] > 0.02 >= row["source"]]
    if worse:
        print(f"Right in the source, wrong in the bake: {', '.join(worse)}.")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
