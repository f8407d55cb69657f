"""The page on the command line, written from the commands themselves.

``python -m poreflux.run.config_docs`` writes it with the other pages of that kind.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from poreflux.run.cli import app

HEAD = """\
# Command line

Written by `{command}` from the commands themselves. `poreflux --help` and
`poreflux COMMAND --help` show the same.

- Exit codes: 0 done; 1 an error, or a structure that failed; 2 wrong usage.
- Results go to standard output, messages and progress to standard error.
- An error is a line that says what is wrong and what to do. `poreflux --debug COMMAND` adds the
  traceback.
- Complete commands and options with the Tab key: `poreflux --install-completion`.
- The commands on single structures keep each result in the [store](store.md) and take it from
  there the next time.
"""


def page(command: str) -> str:
    """The page, for the documentation.

    Parameters
    ----------
    command : str
        What writes it.
    """
    root = get_command(app)
    parts = [HEAD.format(command=command).rstrip()]
    parts += ["## All commands", _list(root)]
    for name, each in _flat(root):
        parts += _section(name, each)
    return "\n\n".join(parts) + "\n"


def _flat(group: Any, prefix: str = "poreflux") -> Iterator[tuple[str, Any]]:
    """Commands with their full names, those of groups too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _flat(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _list(root: Any) -> str:
    lines = ["| command | does |", "| --- | --- |"]
    for name, command in _flat(root):
        anchor = name.replace(" ", "-")
        lines.append(f"| [`{name}`](#{anchor}) | {_cell(_paragraphs(command.help)[0])} |")
    return "\n".join(lines)


def _section(name: str, command: Any) -> list[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    words = " ".join(a.metavar or a.name.upper() for a in arguments)
    found = [f"## {name}", *_paragraphs(command.help), f"    {name} [OPTIONS] {words}".rstrip()]
    if arguments:
        lines = ["| argument | meaning |", "| --- | --- |"]
        lines += [f"| `{a.metavar or a.name.upper()}` | {_cell(a.help)} |" for a in arguments]
        found.append("\n".join(lines))
    rows = [_option(o) for o in options if "--help" not in o.opts]
    if rows:
        found.append("\n".join(["| option | default | meaning |", "| --- | --- | --- |", *rows]))
    examples = [p.strip() for p in (command.epilog or "").split("\n\n")]
    if examples[0] == "Examples:":
        found.append("\n".join(f"    {line}" for line in examples[1:]))
    return found


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    default = option.default
    shown = option.show_default and default not in (None, False, ())
    text = getattr(default, "value", default) if shown else ""
    return f"| {names}{value} | {f'`{text}`' if shown else ''} | {_cell(option.help)} |"


def _paragraphs(text: str) -> list[str]:
    return [" ".join(p.split()) for p in re.split(r"\n\s*\n", inspect.cleandoc(text))]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
