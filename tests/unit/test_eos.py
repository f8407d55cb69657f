"""Peng-Robinson fugacities against the published table, limits and phases."""

import math
from importlib import resources

import numpy as np
import pytest

from poreflux.base.errors import ConfigError
from poreflux.fields.eos import fugacity
from poreflux.fields.forcefield import guest_parameters

# Fugacities of CH4 at 298 K published with the study this pipeline follows, bar.
PUBLISHED = {
    1: 0.998,
    2: 1.991,
    5.8: 5.726,
    10: 9.782,
    15: 14.513,
    20: 19.143,
    30: 28.109,
    40: 36.705,
    50: 44.956,
    60: 52.886,
    65: 56.739,
    80: 67.884,
    90: 75.002,
    100: 81.898,
}


@pytest.mark.parametrize(("pressure", "expected"), PUBLISHED.items())
def test_published_fugacity(pressure, expected):
    # half a unit of the table's last digit
    assert fugacity(pressure, 298.0, "CH4") == pytest.approx(expected, abs=5.0001e-4)


def test_ideal_gas_limit():
    for pressure in (1e-3, 1e-5, 1e-7):
        # ln(f/p) = B p / RT, B of CH4 about -43 cm^3/mol (-54 by this equation): -2.2e-3 a bar
        assert fugacity(pressure, 298.0) / pressure == pytest.approx(1.0, abs=3e-3 * pressure)
    assert fugacity(0.0, 298.0) == 0.0


def test_fugacity_is_the_pressure_integral_of_the_volume():
    """d ln f / d ln p = Z; the fugacity coefficient's slope is checked by differences."""
    h = 1e-4
    for pressure in (5.0, 50.0, 300.0):
        up, down = fugacity(pressure * (1 + h), 298.0), fugacity(pressure * (1 - h), 298.0)
        z = (math.log(up) - math.log(down)) / (math.log1p(h) - math.log1p(-h))
        # compressibility factor of CH4 at 298 K: 0.99, 0.92, 0.9 (NIST WebBook), 5 % for PR
        assert z == pytest.approx({5.0: 0.991, 50.0: 0.920, 300.0: 0.90}[pressure], rel=0.05)


def test_liquid_is_refused_and_vapour_is_not():
    # saturation pressure of CH4 at 150 K: 10.4 bar (NIST WebBook)
    assert 0.0 < fugacity(9.5, 150.0) < 9.5
    for pressure in (11.5, 100.0, 900.0):
        with pytest.raises(ConfigError, match="liquid"):
            fugacity(pressure, 150.0)
    # supercritical at any pressure, dense or not
    assert fugacity(900.0, 200.0) > 0.0


@pytest.mark.parametrize(
    ("pressure", "temperature", "gas", "message"),
    [
        (-1.0, 298.0, "CH4", "pressure"),
        (math.nan, 298.0, "CH4", "pressure"),
        (1001.0, 298.0, "CH4", "pressure"),
        (1.0, 0.0, "CH4", "temperature"),
        (1.0, math.inf, "CH4", "temperature"),
        (1.0, 5000.0, "CH4", "critical temperature"),
        (1.0, 298.0, "C60", "unknown guest"),
    ],
)
def test_out_of_range_is_an_error(pressure, temperature, gas, message):
    with pytest.raises(ConfigError, match=message):
        fugacity(pressure, temperature, gas)


# Measured second virial coefficients at 298 K, cm3/mol (J. H. Dymond and E. B. Smith, The Virial
# Coefficients of Pure Gases and Mixtures, 1980, rounded).
SECOND_VIRIAL = {
    "He": 11.8,
    "Ne": 11.4,
    "Ar": -15.5,
    "Kr": -51.0,
    "Xe": -130.0,
    "H2": 14.5,
    "N2": -4.5,
    "O2": -16.0,
    "CH4": -43.0,
}


def test_every_guest_has_a_measured_second_virial_coefficient():
    folder = resources.files("poreflux").joinpath("fields/parameters/guests")
    assert {p.name.removesuffix(".json") for p in folder.iterdir()} == set(SECOND_VIRIAL)


@pytest.mark.parametrize(("gas", "measured"), SECOND_VIRIAL.items())
def test_guests_have_the_second_virial_coefficient_of_their_gas(gas, measured):
    """2 pi N_A times the integral of (1 - exp(-u/kT)) r^2: a wrong epsilon or sigma shows."""
    guest = guest_parameters(gas)
    r = np.linspace(1e-3, 60.0, 600_001) * guest.sigma_A
    s6 = (guest.sigma_A / r) ** 6
    energy = 4.0 * guest.epsilon_K * (s6 - 1.0) * s6
    mayer = (1.0 - np.exp(-np.minimum(energy, 700.0 * 298.0) / 298.0)) * r**2
    found = 2.0 * math.pi * np.trapezoid(mayer, r) * 0.602214
    # TraPPE's methane is fitted to the liquid, the others to this very quantity
    assert found == pytest.approx(measured, abs=3.0 if gas == "CH4" else 2.0)


@pytest.mark.parametrize(("gas", "measured"), SECOND_VIRIAL.items())
def test_fugacities_of_other_gases_follow_their_second_virial_coefficient(gas, measured):
    """ln(f/p) = B p / RT at low pressure; Peng-Robinson's B is off by up to 20 cm3/mol."""
    slope = math.log(fugacity(1.0, 298.0, gas)) * 83.1446 * 298.0
    # helium's attraction is not left to grow with temperature
    assert slope == pytest.approx(measured, abs=2.0 if gas == "He" else 20.0)
