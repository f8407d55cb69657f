"""Commands that compute one stage for CIF files: geometry, energy, percolation, uptake, diffusion.

The defaults of their options are those of the stages' settings; a test holds them to that.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from poreflux.run.cli.words import StoreFolder, examples

PANEL = "Single structures"
OUTPUT, RUNNING = "Output", "Running"


class Device(StrEnum):
    """Where an engine runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="CIF files, or folders of them.", show_default=False),
]
Csv = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Write all columns as CSV; - for standard output.",
        rich_help_panel=OUTPUT,
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json", metavar="", help="Print all columns as JSON, no table.", rich_help_panel=OUTPUT
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH", help="Draw the result: .png, .svg or .pdf.", rich_help_panel=OUTPUT
    ),
]
Cores = Annotated[
    int | None,
    typer.Option(
        "--cores",
        "-c",
        min=1,
        help="Structures computed at once. Default: all cores.",
        rich_help_panel=RUNNING,
        show_default=False,
    ),
]
Other = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Any other key of this block of the configuration; may be repeated.",
        show_default=False,
    ),
]
Guest = Annotated[str, typer.Option(help="CH4, H2, N2, O2, He, Ne, Ar, Kr or Xe.")]
Temperature = Annotated[float, typer.Option(help="Temperature, K.")]
Seed = Annotated[int, typer.Option(help="Fixes every random number.")]
Where = Annotated[
    Device,
    typer.Option(
        help="auto: on a GPU, where there is one, for several files.", rich_help_panel=RUNNING
    ),
]
Kept = StoreFolder


def _run(stage: str, files: list[str], other: list[str] | None, settings: dict, **output) -> None:
    from poreflux.run.commands.files import run

    failed = run(stage, files, settings, other or [], **output)
    if failed:
        raise typer.Exit(1)


def geometry(
    files: Files,
    probe: Annotated[float, typer.Option(help="Radius of the probe of surface areas, Å.")] = 1.55,
    void_probe: Annotated[float, typer.Option(help="Radius of the probe of the void, Å.")] = 1.4,
    engine: Annotated[str, typer.Option(help="fast, or zeopp: Zeo++ itself.")] = "fast",
    other: Other = None,
    csv: Csv = None,
    json: Json = False,
    plot: Plot = None,
    cores: Cores = None,
    store: Kept = None,
) -> None:
    """Pore diameters, surface area and void fraction."""
    settings = {"asa_probe_A": probe, "void_probe_A": void_probe, "engine": engine}
    _run(
        "geometry", files, other, settings, csv=csv, json=json, plot=plot, cores=cores, store=store
    )


def energy(
    files: Files,
    guest: Guest = "CH4",
    bins: Annotated[int, typer.Option(help="Bins of the histogram.")] = 50,
    spacing: Annotated[float, typer.Option(help="Between grid points, Å.")] = 1.0,
    other: Other = None,
    csv: Csv = None,
    json: Json = False,
    plot: Plot = None,
    cores: Cores = None,
    store: Kept = None,
) -> None:
    """Histogram of the energy of one guest molecule in the pores."""
    settings = {"guest": guest, "bins": bins, "spacing_A": spacing}
    _run("energy", files, other, settings, csv=csv, json=json, plot=plot, cores=cores, store=store)


def percolation(
    files: Files,
    guest: Guest = "CH4",
    temperature: Temperature = 298.0,
    threshold: Annotated[
        float, typer.Option(help="Energy below which a region is a channel, kT.")
    ] = 20.0,
    other: Other = None,
    csv: Csv = None,
    json: Json = False,
    plot: Plot = None,
    cores: Cores = None,
    store: Kept = None,
) -> None:
    """Whether a guest gets through, barriers, Henry coefficient, heat of adsorption, mobility."""
    settings = {"guest": guest, "temperature_K": temperature, "threshold_kT": threshold}
    _run(
        "percolation", files, other, settings,
        csv=csv, json=json, plot=plot, cores=cores, store=store,
    )  # fmt: skip


def uptake(
    files: Files,
    pressures: Annotated[
        str, typer.Option(metavar="LIST", help="Pressures, bar, with commas between.")
    ] = "0.25,0.5,0.75,1,2,5.8,10,30,50,65,80,100",
    guest: Guest = "CH4",
    temperature: Temperature = 298.0,
    target_error: Annotated[
        float, typer.Option(help="Relative standard error at which a pressure is done.")
    ] = 0.01,
    seed: Seed = 0,
    engine: Annotated[str, typer.Option(help="grid: ours, or raspa3: RASPA3.")] = "grid",
    other: Other = None,
    csv: Csv = None,
    json: Json = False,
    plot: Plot = None,
    device: Where = Device.auto,
    cores: Cores = None,
    store: Kept = None,
) -> None:
    """Uptake at each pressure, by grand canonical Monte Carlo."""
    settings = {
        "pressures_bar": numbers(pressures), "guest": guest, "temperature_K": temperature,
        "target_error": target_error, "seed": seed, "engine": engine, "device": device.value,
    }  # fmt: skip
    _run("uptake", files, other, settings, csv=csv, json=json, plot=plot, cores=cores, store=store)


def diffusion(
    files: Files,
    guest: Guest = "CH4",
    temperature: Temperature = 298.0,
    target_error: Annotated[
        float, typer.Option(help="Relative standard error of D to aim at.")
    ] = 0.05,
    seed: Seed = 0,
    engine: Annotated[
        str,
        typer.Option(help="harmonic, grid: long trajectories, or lammps: the same with LAMMPS."),
    ] = "harmonic",
    other: Other = None,
    csv: Csv = None,
    json: Json = False,
    plot: Plot = None,
    device: Where = Device.auto,
    cores: Cores = None,
    store: Kept = None,
) -> None:
    """Self-diffusivity at infinite dilution, by molecular dynamics."""
    settings = {
        "guest": guest, "temperature_K": temperature, "target_error": target_error, "seed": seed,
        "engine": engine, "device": device.value,
    }  # fmt: skip
    _run(
        "diffusion", files, other, settings,
        csv=csv, json=json, plot=plot, cores=cores, store=store,
    )  # fmt: skip


def numbers(text: str) -> tuple[float, ...]:
    """The numbers in a list with commas or blanks between them."""
    try:
        return tuple(map(float, text.replace(",", " ").split()))
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no list of numbers such as 1,5.8,35,65", param_hint="--pressures"
        ) from error


COMMANDS = {
    geometry: examples(
        "poreflux geometry my.cif",
        "poreflux geometry my/ --csv pores.csv",
        "poreflux geometry my/ --probe 1.325 --plot pores.png",
    ),
    energy: examples(
        "poreflux energy my.cif --plot histogram.png",
        "poreflux energy my/ --guest Xe --csv energies.csv",
    ),
    percolation: examples(
        "poreflux percolation my.cif",
        "poreflux percolation my/ --guest Kr --temperature 273 --csv kr.csv",
    ),
    uptake: examples(
        "poreflux uptake my.cif --pressures 1,5.8,35,65",
        "poreflux uptake my/ --guest N2 --temperature 313 --plot isotherms.svg",
        "poreflux uptake my.cif --set cutoff_A=14 --json",
    ),
    diffusion: examples(
        "poreflux diffusion my.cif",
        "poreflux diffusion my/*.cif --target-error 0.02 --csv d.csv",
        "poreflux diffusion my.cif --guest Xe --temperature 350 --plot d.png",
    ),
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command, epilog in COMMANDS.items():
        app.command(rich_help_panel=PANEL, epilog=epilog, no_args_is_help=True)(command)
