"""sRGB encoding against the standard's own numbers and a reference in exact arithmetic."""

import numpy as np
import pytest

from usdstylize.imaging.encoding import linear_to_srgb, srgb_to_linear


@pytest.mark.parametrize(
    ("encoded", "linear"),
    [(0.0, 0.0), (0.04045, 0.0031308), (0.5, 0.21404114), (188 / 255, 0.50288646), (1.0, 1.0)],
)
def test_known_values(encoded: float, linear: float) -> None:
    assert srgb_to_linear([encoded])[0] == pytest.approx(linear, abs=2e-7)
    assert linear_to_srgb([linear])[0] == pytest.approx(encoded, abs=3e-6)


def test_every_8_bit_code_survives_the_round_trip() -> None:
    codes = np.arange(256, dtype=np.float32) / 255
    assert (np.rint(linear_to_srgb(srgb_to_linear(codes)) * 255) == np.arange(256)).all()


def test_values_outside_the_unit_range_stay_ordered_and_undo() -> None:
    values = np.linspace(-3, 5, 801, dtype=np.float32).reshape(3, 267)
    encoded = linear_to_srgb(values)
    assert encoded.dtype == np.float32
    assert encoded.shape == values.shape
    assert (np.diff(encoded.ravel()) > 0).all()
    np.testing.assert_allclose(srgb_to_linear(encoded), values, atol=2e-6)
    np.testing.assert_array_equal(linear_to_srgb(-values), -encoded)
