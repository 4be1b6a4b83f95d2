"""What goes wrong with one object of a group costs that object, or the group, and nothing beyond it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import define_quad
from pxr import Kind, Usd, UsdGeom, UsdShade
from still import without_optimising

from usdstylize import Options, RunResult, stylize
from usdstylize.errors import MaterialError, MeshError
from usdstylize.usd import read, write

OPTIONS = Options(preset="draft", device="cpu", by="model")
CHAIR = ("/World/Chair/Seat", "/World/Chair/Back")


@pytest.fixture
def chair(tiny_stage: Path) -> Path:
    """The tiny stage with a component of two quads that wear one look."""
    opened = Usd.Stage.Open(str(tiny_stage))
    paint = UsdShade.Material.Get(opened, "/World/Looks/Paint")
    Usd.ModelAPI(UsdGeom.Xform.Define(opened, "/World/Chair")).SetKind(Kind.Tokens.component)
    for number, path in enumerate(CHAIR):
        define_quad(opened, path, paint, x=5.0 + number)
    opened.Save()
    return tiny_stage


@pytest.fixture
def ended(chair: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run without optimising; every object's status, and the reasons of those that failed."""

    def run(
        before: Any = lambda path: None, **options: Any
    ) -> tuple[RunResult, dict[str, str], dict[str, str]]:
        without_optimising(monkeypatch, before)
        result = stylize(chair, style_folder, replace(OPTIONS, **options))
        statuses = {item.path: item.status for item in result.objects}
        return result, statuses, {item.path: str(item.reason) for item in result.failed}

    return run


def failing(error: Exception, *paths: str) -> Any:
    def fail(path: str) -> None:
        if path in paths:
            raise error

    return fail


def _load(monkeypatch: pytest.MonkeyPatch, error: Exception, *paths: str) -> None:
    real, fail = read.load, failing(error, *paths)

    def load(contents: Any, obj: Any, *others: Any, **options: Any) -> Any:
        fail(obj.path)
        return real(contents, obj, *others, **options)

    monkeypatch.setattr(read, "load", load)


def test_all_goes_well(ended: Any) -> None:
    result, statuses, reasons = ended()
    assert statuses == dict.fromkeys(["/World/Left", "/World/Right", *CHAIR], "done")
    assert reasons == {}
    assert result.problems == ()


@pytest.mark.parametrize("there", [CHAIR[:1], CHAIR])
def test_a_group_is_kept_whole_or_made_whole(ended: Any, there: tuple[str, ...]) -> None:
    """--resume: an object that is missing is made with those that stand beside it."""
    ended(mask=there)
    result, statuses, _ = ended(resume=True)
    expected = "kept" if there == CHAIR else "done"
    assert statuses == {"/World/Left": "done", "/World/Right": "done", **dict.fromkeys(CHAIR, expected)}
    assert result.problems == ()
    assert len(write.existing_styles(result.root_layer)["ink_stripes"]) == 4


def test_a_group_whose_optimisation_fails_fails_together(ended: Any) -> None:
    reason = "/World/Chair/Back is seen by no camera; look at it."
    result, statuses, reasons = ended(failing(MeshError(reason), CHAIR[1]))
    assert reasons == dict.fromkeys(CHAIR, reason)
    assert {path for path, status in statuses.items() if status == "done"} == {"/World/Left", "/World/Right"}
    assert result.problems == ()


@pytest.mark.parametrize("path", CHAIR)
def test_an_object_that_cannot_be_read_leaves_its_group(
    ended: Any, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The look is the first one's; where that is lost, the other has none."""
    _load(monkeypatch, MeshError(f"{path} has lost its points; restore them."), path)
    _, statuses, reasons = ended()
    assert reasons[path] == f"{path} has lost its points; restore them."
    assert statuses["/World/Left"] == statuses["/World/Right"] == "done"
    if path == CHAIR[0]:
        assert reasons[CHAIR[1]].startswith("/World/Chair/Back shares the look of World__Chair__Seat, which")
    else:
        assert statuses[CHAIR[0]] == "done"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            MemoryError(),
            "/World/Left needs more memory than there is; lower --texture-resolution "
            "or scale its texture down.",
        ),
        (
            KeyError("a\nb"),
            "/World/Left: internal error (KeyError: 'a\\nb'); please report it with what --verbose shows.",
        ),
        (
            ValueError("first.\nsecond"),
            "/World/Left: internal error (ValueError: first); please report it with what --verbose shows.",
        ),
        (MaterialError("/World/Left has no colour; give it one."), "/World/Left has no colour; give it one."),
    ],
)
@pytest.mark.parametrize("when", ["read", "optimised", "written"])
def test_the_reason_is_one_sentence(
    ended: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str, when: str
) -> None:
    fail = failing(error, "/World/Left")
    if when == "read":
        _load(monkeypatch, error, "/World/Left")
    elif when == "written":
        real = write.Writer.write_object

        def write_object(writer: Any, obj: Any, *others: Any, **options: Any) -> None:
            fail(obj.path)
            real(writer, obj, *others, **options)

        monkeypatch.setattr(write.Writer, "write_object", write_object)
    result, statuses, reasons = ended(fail if when == "optimised" else lambda path: None)
    assert reasons == {"/World/Left": reason}
    assert list(statuses.values()).count("done") == 3
    assert write.existing_styles(result.root_layer)["ink_stripes"] == [
        "World__Chair__Back",
        "World__Chair__Seat",
        "World__Right",
    ]


def test_what_an_object_is_made_with_is_recorded(ended: Any) -> None:
    result, _, _ = ended()
    (left,) = (item for item in result.objects if item.path == "/World/Left")
    assert (left.name, left.coverage, left.iterations, left.losses.total) == ("World__Left", 0.5, 1, 6.0)
