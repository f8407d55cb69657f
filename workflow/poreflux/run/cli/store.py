"""Commands on the content store: list, verify, prune, why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poreflux.base.stage_names import STAGES
from poreflux.run.cli.words import ConfigFiles, StoreFolder, examples

app = typer.Typer(
    name="store",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog=examples("poreflux store list", "poreflux store --store /data/store verify"),
)


@app.callback()
def _store(context: typer.Context, store: StoreFolder = None) -> None:
    """Look into the store of finished results: what is there, why something runs again."""
    context.obj = store


@app.command("list", epilog=examples("poreflux store list"))
def list_(context: typer.Context) -> None:
    """Entries, bytes and age by stage."""
    from poreflux.run.commands import store

    store.list_entries(context.obj)


@app.command(epilog=examples("poreflux store verify"))
def verify(context: typer.Context) -> None:
    """Check every checksum and key; set wrong entries aside."""
    from poreflux.run.commands import store

    store.verify(context.obj)


@app.command(
    epilog=examples(
        "poreflux store prune --older-than-days 90 --dry-run",
        "poreflux store prune --max-gb 20",
        "poreflux store prune --unused-by my.yaml",
    )
)
def prune(
    context: typer.Context,
    older_than_days: Annotated[float | None, typer.Option(help="Written longer ago.")] = None,
    max_gb: Annotated[
        float | None, typer.Option(help="The oldest, until so many GB are left.")
    ] = None,
    stage: Annotated[str, typer.Option(help="Of this stage.")] = "*",
    used_by: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Used by the study of this configuration, run in this folder; may be repeated.",
        ),
    ] = None,
    unused_by: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Not used by it; may be repeated.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Count, remove nothing.")
    ] = False,
) -> None:
    """Remove entries to which all that is said applies, and what was left behind."""
    from poreflux.run.commands import store

    store.prune_entries(
        context.obj,
        older_than_days=older_than_days,
        max_gb=max_gb,
        stage=stage,
        used=used_by,
        unused=unused_by,
        dry_run=dry_run,
    )


@app.command(
    epilog=examples("poreflux store why KUVJIW_clean uptake --configfile my.yaml"),
    no_args_is_help=True,
)
def why(
    context: typer.Context,
    structure: Annotated[str, typer.Argument(help="Name in the study, or content hash.")],
    stage: Annotated[
        str,
        typer.Argument(
            metavar="STAGE", help=f"{', '.join(STAGES)}; of another guest as diffusion_N2."
        ),
    ],
    configfile: ConfigFiles = None,
) -> None:
    """Whether a result is stored, and if not, which ingredient changed."""
    # what follows the stage is a guest or a temperature
    if stage.partition("_")[0] not in STAGES:
        raise typer.BadParameter(f"{stage!r} is none of {', '.join(STAGES)}", param_hint="STAGE")
    from poreflux.run.commands import store

    store.why(context.obj, structure, stage, configfile or [])


def register(to: typer.Typer) -> None:
    """Add the commands."""
    to.add_typer(app, rich_help_panel="Upkeep")
