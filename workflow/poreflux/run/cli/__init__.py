"""The command line ``poreflux``.

Each module beside this one declares a group of commands with their options, and imports nothing
but typer: what the commands do lies in :mod:`poreflux.run.commands` and is imported when one runs,
so that ``--help`` need not wait for the libraries of the science. A new group is a module with
``register(app)``, named in :data:`GROUPS`.
"""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from poreflux import __version__
from poreflux.base.errors import PorefluxError
from poreflux.run.cli import doctor, files, predict, store, study, transfer
from poreflux.run.cli.words import examples

# In the order in which ``--help`` shows them.
GROUPS = (predict, files, transfer, study, store, doctor)
# Exit codes.
DONE, FAILED, WRONG_USAGE = 0, 1, 2

app = typer.Typer(
    name="poreflux",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "poreflux predict my.cif",
        "poreflux diffusion my.cif --guest Xe --temperature 350",
        "poreflux init my-study && poreflux run my-study",
    )
    + "\n\nExit codes: 0 done, 1 an error or a structure that failed, 2 wrong usage."
    "\n\nComplete commands with the Tab key: poreflux --install-completion",
)
for group in GROUPS:
    group.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"poreflux {__version__}")
        raise typer.Exit


@app.callback()
def _poreflux(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            callback=_show_version,
            is_eager=True,
            help="Show the version and end.",
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", metavar="", help="Show the traceback of an error. Before the command."
        ),
    ] = False,
) -> None:
    """Gas adsorption and diffusion in metal-organic frameworks, from CIF files.

    Simulates single structures, and runs whole studies with Snakemake.
    """


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process if not given.

    Returns
    -------
    int
        The exit code: 0 done, 1 an error or a structure that failed, 2 wrong usage.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        app(arguments, prog_name="poreflux")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED if end.code else DONE
    except Exception as error:
        if "--debug" in _before_the_command(arguments):
            traceback.print_exception(error)
        sys.stderr.write(f"poreflux: {_in_words(error)}\n")
        return FAILED
    return DONE


def _before_the_command(arguments: list[str]) -> list[str]:
    first = next((i for i, word in enumerate(arguments) if not word.startswith("-")), None)
    return arguments[:first]


def _in_words(error: Exception) -> str:
    if isinstance(error, PorefluxError):
        return str(error)
    # a file that cannot be used, a full disk, a package left out: not for us to mend
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(filter(None, (str(error.filename or ""), error.strerror)))
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"the package {error.name} is not installed; `poreflux doctor` says what to do"
    if isinstance(error, MemoryError):
        return "not enough memory; compute fewer structures at once (--cores)"
    return (
        f"unexpected {type(error).__name__}: {error}\n"
        "This is a mistake of Poreflux. Please report it as an issue of the repository, with what "
        "`poreflux --debug` before the same command shows and what `poreflux doctor` says."
    )
