"""The command ``predict``: diffusivities from the models that ship with the package."""

from __future__ import annotations

from typing import Annotated

import typer

from poreflux.run.cli.files import OUTPUT, PANEL, Csv, Files, Json
from poreflux.run.cli.words import examples


def predict(
    files: Files,
    simulate: Annotated[
        bool,
        typer.Option(
            "--simulate", metavar="", help="Run the molecular dynamics, too: a second or two each."
        ),
    ] = False,
    guest: Annotated[str, typer.Option(help="A guest that a model ships for.")] = "CH4",
    card: Annotated[
        bool,
        typer.Option(
            "--card",
            metavar="",
            is_eager=True,
            help="Show what the model learnt from and how good it is, then go on.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Diffusivity with its 90 % interval, from models that ship: a second per structure."""
    from poreflux.run.commands.predict import run

    if run(files, guest=guest, simulate=simulate, card=card, csv=csv, json=json):
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        rich_help_panel=PANEL,
        no_args_is_help=True,
        epilog=examples(
            "poreflux predict my.cif",
            "poreflux predict my.cif --simulate",
            "poreflux predict my.cif --guest N2",
            "poreflux predict my/ --csv predictions.csv",
        ),
    )(predict)
