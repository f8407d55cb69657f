"""What the errors of engine harmonic are made of: its starts, its spline, its network.

    python benchmarks/harmonic_errors.py --output benchmarks/harmonic_errors

Scatter over seeds against the stated errors; the spline's energies where the flux is, against the
Lennard-Jones sum itself; D on finer splines and networks. MOFs are drawn at random from the
published table of ``harmonic.py``; to the last two comes BUPFAU, whose window is the tightest.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from harmonic import names_of

from poreflux.base.units import A2_PER_FS_TO_M2_PER_S
from poreflux.diffusion import harmonic, paths
from poreflux.diffusion.grid_engine import Dynamics, energy_at
from poreflux.fields.forcefield import guest_parameters, mixed_parameters
from poreflux.fields.grid import grid_shape, lj_grid
from poreflux.structures import packages
from poreflux.structures.cif import parse_cif

TEMPERATURE_K, TIMESTEP_FS, CUTOFF_A = 298.0, 2.0, 12.0
THRESHOLD_KT, CAP_K = 20.0, 20_000.0
SPACING_A = 0.25
TIGHT = "BUPFAU_clean"
# Grid spacings, and network spacings (None: the usual one), Å.
SPACINGS_A = (0.25, 0.18, 0.125)
NETWORKS = ((0.25, None), (0.25, 0.2), (0.15, None), (0.15, 0.2), (0.1, 0.15))
PLACES = 120

GUEST = guest_parameters("CH4")


def landscape(structure, spacing_A: float, network_A: float | None = None):
    """What the engine prepares, on a grid and a network of one's own; None without a channel."""
    energy = lj_grid(structure, GUEST, grid_shape(structure, spacing_A), CUTOFF_A)
    dynamics = Dynamics(GUEST.mass_amu, TEMPERATURE_K, TIMESTEP_FS, 0.0)
    return harmonic.prepare(
        energy, structure.cell, dynamics, threshold_kT=THRESHOLD_KT, cap_K=CAP_K,
        spacing_A=network_A,
    )  # fmt: skip


def diffusivity(prepared, seed: int) -> harmonic.Harmonic:
    """D to 5 %, as the engine finds it."""
    return harmonic.run(prepared, seed=seed, target_error=0.05, longest_ps=64.0, most_starts=32_768)


def over_seeds(structures: dict, n_seeds: int) -> list[str]:
    """Scatter over seeds against stated errors."""
    lines, deviations = [], []
    for name, structure in structures.items():
        prepared = landscape(structure, SPACING_A)
        runs = [diffusivity(prepared, seed) for seed in range(n_seeds)]
        d = np.array([run.d_A2_fs for run in runs]) * A2_PER_FS_TO_M2_PER_S
        errors = np.array([run.d_err_A2_fs for run in runs]) * A2_PER_FS_TO_M2_PER_S
        # the mean is that of the same seeds
        deviations += list((d - d.mean()) / errors * np.sqrt(n_seeds / (n_seeds - 1)))
        lines.append(
            f"| {name} | {d.mean():.3g} | {d.std(ddof=1) / d.mean():.3f} "
            f"| {(errors / d).mean():.3f} |"
        )
        print(lines[-1], flush=True)
    return [
        f"## {n_seeds} seeds each of {len(structures)} MOFs",
        "",
        "Root mean square of the deviations from the mean over the stated errors: "
        f"**{np.sqrt(np.mean(np.square(deviations))):.2f}**.",
        "",
        "| MOF | mean D, m2/s | relative scatter | stated |",
        "| --- | --- | --- | --- |",
        *lines,
        "",
    ]


def of_the_spline(structures: dict) -> list[str]:
    """Energies of the spline against the Lennard-Jones sum, at places drawn as starts are."""
    lines, largest = [], 0.0
    for name, structure in structures.items():
        cells = []
        for spacing_A in SPACINGS_A:
            prepared = landscape(structure, spacing_A)
            place, velocity = np.empty((2, PLACES, 3))
            moment, found = np.empty((2, PLACES))
            paths.draw(
                prepared.field.potential, prepared.coordinates, prepared.cells,
                prepared.cumulative, np.uint64(1), 0, place, velocity, moment, found,
            )  # fmt: skip
            field = prepared.field
            spline = [energy_at(field.coefficients, field.inverse_cap, *x) for x in place]
            error_kT = (np.array(spline) - lennard_jones(structure, place)) / TEMPERATURE_K
            # of the mean of exp(-E/kT) over these places
            flux = abs(float(np.expm1(np.log(np.mean(np.exp(error_kT))))))
            largest = max(largest, flux) if spacing_A == SPACING_A else largest
            cells.append(f"{np.sqrt(np.mean(error_kT**2)):.3f} kT, {100 * flux:.2f} %")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return [
        f"## Spline against the sum over pairs, {len(structures)} MOFs",
        "",
        f"At {PLACES} places drawn where currents dissipate, as the starts are: error of the "
        "energy (root mean square), and what it does to the mean Boltzmann factor. Largest at "
        f"{SPACING_A:g} Å: **{100 * largest:.1f} %**.",
        "",
        "| MOF | " + " | ".join(f"{x:g} Å" for x in SPACINGS_A) + " |",
        "| --- |" + " --- |" * len(SPACINGS_A),
        *lines,
        "",
    ]


def lennard_jones(structure, places: np.ndarray) -> np.ndarray:
    """Energies (K) at fractional places (n, 3), summed over pairs in plain numpy."""
    epsilon_K, sigma_A = mixed_parameters(structure, GUEST)
    widths = 1.0 / np.linalg.norm(np.linalg.inv(structure.cell), axis=0)
    reach = np.ceil(CUTOFF_A / widths).astype(int) + 1
    images = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), -1)
    images = images.reshape(-1, 3)
    found = []
    for place in places:
        away = ((structure.frac - place)[:, None] + images) @ structure.cell
        square = (away**2).sum(axis=-1)
        near = np.where(square < CUTOFF_A**2, (sigma_A[:, None] ** 2 / square) ** 3, 0.0)
        found.append((4.0 * epsilon_K[:, None] * (near * near - near)).sum())
    return np.array(found)


def on_networks(structures: dict) -> list[str]:
    """D on finer grids and networks."""
    lines = []
    for name, structure in structures.items():
        for spacing_A, network_A in NETWORKS:
            prepared = landscape(structure, spacing_A, network_A)
            run = diffusivity(prepared, seed=1)
            d, error = (x * A2_PER_FS_TO_M2_PER_S for x in (run.d_A2_fs, run.d_err_A2_fs))
            network = f"{network_A:g}" if network_A else "usual"
            lines.append(
                f"| {name} | {spacing_A:g} | {network} | {d:.3g} ({error:.1g}) | {run.n_starts} |"
            )
            print(lines[-1], flush=True)
    return [
        "## Finer grids and networks",
        "",
        "| MOF | grid, Å | network, Å | D, m2/s | paths |",
        "| --- | --- | --- | --- | --- |",
        *lines,
        "",
    ]


def main() -> None:
    """Run all three and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, default=14)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--output", type=Path, default=Path("harmonic_errors"))
    options = parser.parse_args()
    names = names_of("dynamics", options.structures)
    cifs = dict(packages.core_mof_cifs("2019-ASR", [*names, TIGHT]))
    all_of_them = {name: parse_cif(cif) for name, cif in cifs.items()}
    drawn = {name: all_of_them[name] for name in names}
    few = {name: all_of_them[name] for name in (names[0], TIGHT)}
    lines = [
        "# Engine harmonic: what its errors are made of",
        "",
        f"CH4 at {TEMPERATURE_K:g} K, to 5 %.",
        "",
        *over_seeds(drawn, options.seeds),
        *of_the_spline(all_of_them),
        *on_networks(few),
    ]
    options.output.with_suffix(".md").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
