"""Fugacity of a pure gas from the Peng-Robinson equation of state."""

from __future__ import annotations

import math

import numpy as np

from poreflux.base.errors import ConfigError
from poreflux.base.units import GAS_CONSTANT_J_PER_MOL_K
from poreflux.fields.forcefield import guest_parameters

# The coefficients follow from the critical-point conditions: with eta the real root of
# 64 eta^3 + 6 eta^2 + 12 eta - 1 = 0, Omega_a = (8 + 40 eta) / (49 - 37 eta) and
# Omega_b = eta / (3 + eta). The rounded 0.45724 and 0.07780 of the paper change the third
# decimal of a fugacity near 100 bar.
_OMEGA_A = 0.457235528921
_OMEGA_B = 0.0777960739039
# Molar volume over the covolume b at the critical point: 1 / (4 eta)
_CRITICAL_VOLUME_OVER_B = 3.9513730355914394
# Above this the equation's error in the fugacity of light gases exceeds some per cent.
MAX_PRESSURE_BAR = 1000.0
_SQRT2 = math.sqrt(2.0)


def fugacity(pressure_bar: float, temperature_K: float, gas: str = "CH4") -> float:
    """Fugacity of a pure gas at a pressure and temperature, by Peng-Robinson.

    Parameters
    ----------
    pressure_bar : float
        In [0, 1000] bar.
    temperature_K : float
        Above 0 K.
    gas : str
        A guest of :func:`poreflux.fields.forcefield.guest_parameters`: its critical temperature,
        critical pressure and acentric factor are used.

    Returns
    -------
    float
        Fugacity, bar; it tends to the pressure as that tends to 0.

    Raises
    ------
    ConfigError
        If an argument is out of range, the gas is unknown, or the fluid is liquid there (the
        liquid root has the lower fugacity, or is the only one below the critical temperature).

    Notes
    -----
    ``Z^3 - (1-B) Z^2 + (A - 3B^2 - 2B) Z - (AB - B^2 - B^3) = 0`` with ``A = a p / (RT)^2``,
    ``B = b p / (RT)``; of three real roots the one of lowest fugacity is the stable phase.
    kappa is the expression of 1976, for acentric factors up to about 0.5. Helium's acentric factor
    makes it negative, so that the attraction would grow with temperature (2nd virial coefficient
    at 298 K 4 cm3/mol instead of the measured 12); it is taken for zero there, which gives 13.

    References
    ----------
    D.-Y. Peng, D. B. Robinson, Ind. Eng. Chem. Fundam. 1976, 15, 59, eqs. 4 to 19.

    Examples
    --------
    >>> round(fugacity(65, 298.0, "CH4"), 3)
    56.739
    """
    pressure, temperature = float(pressure_bar), float(temperature_K)
    if not 0.0 <= pressure <= MAX_PRESSURE_BAR:
        raise ConfigError(
            f"pressure must be in [0, {MAX_PRESSURE_BAR:g}] bar, got {pressure_bar!r}"
        )
    if not (math.isfinite(temperature) and temperature > 0.0):
        raise ConfigError(f"temperature must be above 0 K, got {temperature_K!r}")
    guest = guest_parameters(gas)
    if pressure == 0.0:
        return 0.0
    kappa = max(0.0, 0.37464 + 1.54226 * guest.acentric - 0.26992 * guest.acentric**2)
    reduced = temperature / guest.tc_K
    root_alpha = 1.0 + kappa * (1.0 - math.sqrt(reduced))
    if root_alpha <= 0.0:
        raise ConfigError(
            f"{temperature:g} K is {reduced:.1f} times the critical temperature of {gas}, "
            "beyond the Peng-Robinson equation of state; use a lower temperature"
        )
    # bar cm^3 / mol / K
    gas_constant = GAS_CONSTANT_J_PER_MOL_K * 10.0
    rt = gas_constant * temperature
    a = _OMEGA_A * (gas_constant * guest.tc_K) ** 2 / guest.pc_bar * root_alpha**2
    b = _OMEGA_B * gas_constant * guest.tc_K / guest.pc_bar
    big_a, big_b = a * pressure / rt**2, b * pressure / rt
    cubic = [
        1.0,
        big_b - 1.0,
        big_a - 3.0 * big_b**2 - 2.0 * big_b,
        big_b**3 + big_b**2 - big_a * big_b,
    ]
    roots = np.roots(cubic)
    real = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > big_b)]
    if len(real) == 0:
        # two roots that nearly coincide come out as a complex pair; the third is real
        real = roots.real[[np.argmin(np.abs(roots.imag))]]
    log_phi = [_log_fugacity_coefficient(z, big_a, big_b) for z in real]
    stable = int(np.argmin(log_phi))
    if temperature < guest.tc_K and real[stable] < _CRITICAL_VOLUME_OVER_B * big_b:
        raise ConfigError(
            f"{gas} is liquid at {pressure:g} bar and {temperature:g} K "
            f"(critical temperature {guest.tc_K:g} K): adsorption of a gas needs a pressure "
            "below saturation or a higher temperature"
        )
    return pressure * math.exp(log_phi[stable])


def _log_fugacity_coefficient(z: float, big_a: float, big_b: float) -> float:
    """ln(f/p) of one root Z, Peng and Robinson's eq. 19."""
    ratio = (z + (1.0 + _SQRT2) * big_b) / (z + (1.0 - _SQRT2) * big_b)
    return z - 1.0 - math.log(z - big_b) - big_a / (2.0 * _SQRT2 * big_b) * math.log(ratio)
