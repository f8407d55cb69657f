"""Commands on whole studies: init, run, export, crate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poreflux.run.cli.words import ConfigFiles, StoreFolder, examples

PANEL = "Studies"


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.", show_default=False)
    ],
) -> None:
    """Make a folder for a study of your own: config.yaml, a folder for CIFs, a README."""
    from poreflux.run.commands.init import init as make

    make(folder)


def run(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FOLDER] [TARGET...] [OPTIONS OF SNAKEMAKE]",
            help="Folder of a study (the working folder if not given), what to make, and options "
            "of Snakemake.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run a study with Snakemake, from any folder, with one line of progress per stage.

    All options but --help go to Snakemake. Targets: geometry, energy, percolation, descriptors,
    uptake, diffusion, study, synthesis, predict, validate; the report if none is named.
    Snakemake's own output is shown with -n, --lint, --verbose and the like.
    """
    from poreflux.run.commands.launch import run as launch

    raise typer.Exit(launch(words or []))


def export(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where the files go.", show_default=False)
    ],
    configfile: ConfigFiles = None,
) -> None:
    """Write every table of a finished study as CSV, and its isotherms as AIF files."""
    from poreflux.run.commands.export import export as write

    write(folder, configfile or [])


def crate(
    configfile: ConfigFiles = None,
    author: Annotated[str | None, typer.Option(help="Who answers for the results.")] = None,
    license: Annotated[str | None, typer.Option(help="Address of their licence.")] = None,
    store: StoreFolder = None,
) -> None:
    """Describe a finished study as an RO-Crate."""
    from poreflux.run.commands.store import crate as describe

    describe(store, configfile or [], author, license)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    add = {"rich_help_panel": PANEL}
    app.command(
        **add, epilog=examples("poreflux init my-study", "poreflux run my-study"),
        no_args_is_help=True,
    )(init)  # fmt: skip
    app.command(
        **add,
        epilog=examples(
            "poreflux run",
            "poreflux run my-study --cores 8",
            "poreflux run uptake diffusion --configfile my.yaml",
            "poreflux run predict --config 'predict={cifs: \"my/*.cif\"}'",
            "poreflux run my-study -n",
        ),
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )(run)
    app.command(
        **add,
        epilog=examples(
            "poreflux export csv/", "poreflux export csv/ --configfile my-study/config.yaml"
        ),
        no_args_is_help=True,
    )(export)
    app.command(
        **add,
        epilog=examples(
            "poreflux crate", "poreflux crate --configfile my.yaml --author 'Ada Lovelace'"
        ),
    )(crate)
