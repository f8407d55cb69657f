"""The command ``transfer``: learn a label of one's own from the source that explains it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from poreflux.run.cli.files import OUTPUT, Cores, Kept
from poreflux.run.cli.words import examples

PANEL = "Your own labels"


class Scale(StrEnum):
    """On which labels are learnt."""

    auto = "auto"
    log = "log"
    linear = "linear"


def transfer(
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS.CSV",
            help="A line per structure: its name, and the label.",
            show_default=False,
        ),
    ],
    cifs: Annotated[
        list[str] | None,
        typer.Option(
            "--cifs",
            metavar="FOLDER",
            help="CIF files, or folders of them, named as in the table; may be repeated. Without "
            "it, names are those of the data set that ships (CoRE MOF 2019).",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Of the label. Default: the only other one.", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Of the names. Default: name, or the first one."),
    ] = None,
    scale: Annotated[
        Scale, typer.Option(help="auto: logarithms of positive labels that differ much.")
    ] = Scale.auto,
    size_of_next: Annotated[
        int, typer.Option(min=1, help="How many structures to propose for measuring.")
    ] = 10,
    output: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Where the files go.", rich_help_panel=OUTPUT),
    ] = Path("transfer"),
    cores: Cores = None,
    store: Kept = None,
) -> None:
    """What 20 to 200 labels of any property follow: source, predictions, what to measure next.

    The label may be an experiment, a flexible framework, an ab initio number: whatever is too
    expensive to get for all structures. Writes predictions.csv, sources.csv, next.csv and
    report.html.
    """
    from poreflux.run.commands.transfer import run

    run(
        labels, cifs or [], label=label, name=name, scale=scale.value, size_of_next=size_of_next,
        output=output, cores=cores, store=store,
    )  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        rich_help_panel=PANEL,
        no_args_is_help=True,
        epilog=examples(
            "poreflux transfer labels.csv",
            "poreflux transfer labels.csv --cifs my/ --label permeability",
        ),
    )(transfer)
