"""The command ``doctor``."""

from __future__ import annotations

import typer

from poreflux.run.cli.words import StoreFolder, examples


def doctor(store: StoreFolder = None) -> None:
    """Check the installation: each line says ok, warn or fail, and what to do."""
    from poreflux.run.commands.doctor import examine

    if not examine(store):
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Upkeep", epilog=examples("poreflux doctor"))(doctor)
