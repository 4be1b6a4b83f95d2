"""A new term takes an entry in one list: here two toys, optimised end to end and checked by hand."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
from balls import METHOD, ball, describe

from usdstylize import optimize
from usdstylize.losses import TextureTerm, ViewTerm, terms
from usdstylize.model.objects import Losses, StyleImage, StyleSet
from usdstylize.model.results import ObjectResult, plain

RATE, ITERATIONS, BACKGROUND = 0.02, 5, 0.75
REDNESS = 409.6
DRIFT = (6144.0, 384.0)
FLAT = dataclasses.replace(
    METHOD,
    direct_texture=True,
    palette_everywhere=True,
    nnfm_weight=0.0,
    content_weight=0.0,
    palette_weight=(0.0, 0.0),
    learning_rate=(RATE, RATE),
    iterations=ITERATIONS,
)
"""All 64 × 64 texels are seen as they are, in views of as many pixels."""
COVERED = 33 / 64
"""The UVs reach to the middle, and so touch 33 columns of texels."""


def adam(gradient: float, state: list[float], number: int) -> float:
    """What Adam adds to a value in iteration ``number``, counted from 1 (Kingma & Ba 2015, algorithm 1)."""
    state[0] = 0.9 * state[0] + 0.1 * gradient
    state[1] = 0.999 * state[1] + 0.001 * gradient**2
    return -RATE * (state[0] / (1 - 0.9**number)) / ((state[1] / (1 - 0.999**number)) ** 0.5 + 1e-8)


def test_a_term_takes_one_entry_and_is_optimised_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    toys = (
        ViewTerm("redness", lambda method: REDNESS, "style", lambda seen: seen.pictures[:, 0].mean()),
        TextureTerm("drift", lambda method: DRIFT, lambda seen: (seen.offsets - 0.25).square().mean()),
    )
    monkeypatch.setattr(terms, "TERMS", (*terms.TERMS, *toys))
    grey = np.full((64, 64, 3), BACKGROUND, np.float32)
    style = StyleSet("grey", (StyleImage("grey.png", grey, ""),), grey[0, :1])
    reports: list[tuple[int, Losses]] = []
    result = optimize.Optimizer(style, FLAT, "cpu").optimize(
        [describe()], [ball()], on_iteration=lambda number, losses: reports.append((number, losses))
    )[0]

    base = float(ball().bases[0][0, 0, 0])
    red = other = 0.0  # T_S where the views pull at it, and elsewhere
    of_red, of_other = [0.0, 0.0], [0.0, 0.0]
    redness, drift, totals = [], [], []
    for number in range(1, ITERATIONS + 1):
        weight = DRIFT[0] * (DRIFT[1] / DRIFT[0]) ** ((number - 1) / (ITERATIONS - 1))
        redness.append(COVERED * (base + red) + (1 - COVERED) * BACKGROUND)
        drift.append((COVERED * (red - 0.25) ** 2 + (3 - COVERED) * (other - 0.25) ** 2) / 3)
        totals.append(REDNESS * redness[-1] + weight * drift[-1])
        # a mean over 64² pixels, and one over 64² texels of three channels
        red += adam(REDNESS / 64**2 + weight * 2 * (red - 0.25) / (3 * 64**2), of_red, number)
        other += adam(weight * 2 * (other - 0.25) / (3 * 64**2), of_other, number)

    assert 0.005 < red < 0.7 * other, "both terms pull, and against each other"
    assert result.images[0][:, :31, 0] == pytest.approx(red, rel=1e-3)
    assert result.images[0][:, :31, 1:] == pytest.approx(other, rel=1e-3)
    ((last, losses),) = reports
    assert last == ITERATIONS
    assert list(losses) == ["nnfm", "content", "palette", "redness", "drift"]
    assert losses["redness"] == pytest.approx(redness[-1], rel=1e-4)
    assert losses["drift"] == pytest.approx(drift[-1], rel=1e-3)
    assert losses.total == pytest.approx(totals[-1], rel=1e-4)
    assert result.losses["redness"] == pytest.approx(np.mean(redness), rel=1e-4)
    assert result.losses.to_dict()["drift"] == pytest.approx(np.mean(drift), rel=1e-3)


def test_the_weights_of_the_terms_are_those_of_the_method() -> None:
    method = dataclasses.replace(METHOD, nnfm_weight=3.0, content_weight=5.0, palette_weight=(7.0, 2.0))
    found = {term.name: term.weight(method) for term in terms.TERMS}
    assert found == {"nnfm": 3.0, "content": 5.0, "palette": (7.0, 2.0)}


def test_losses_pass_between_processes_and_into_json_as_they_are() -> None:
    losses = Losses({"nnfm": 0.5, "palette": 0.25}, 300.0)
    assert pickle.loads(pickle.dumps(losses)) == losses != Losses({"nnfm": 0.5, "palette": 0.25}, 301.0)
    result = ObjectResult("/World/Ball", "World__Ball", "done", losses=losses)
    assert json.loads(json.dumps(plain(result)))["losses"] == {"nnfm": 0.5, "palette": 0.25, "total": 300.0}
