"""Writes what the code says of itself: schema, commented default file, tables for readers.

    python -m poreflux.run.config_docs

JSON schema, defaults and table of keys come from :class:`poreflux.run.settings.StudyConfig`, the
page on the command line from its commands (:mod:`poreflux.run.cli_docs`), that on the Python API
from its docstrings (:mod:`poreflux.run.api_docs`); a test holds them to it.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from poreflux.base.parameters import allowed, meaning
from poreflux.base.settings import kinds_of, unit_of
from poreflux.run import api_docs
from poreflux.run.cli_docs import page
from poreflux.run.settings import StudyConfig

# Where each file lies in the checkout.
SCHEMA, DEFAULTS, TABLE, COMMANDS, API = (
    "config/schema.json",
    "config/config.default.yaml",
    "docs/configuration.md",
    "docs/command_line.md",
    "docs/api-reference.md",
)
WIDTH = 96
COMMAND = "make config-docs"


def schema() -> str:
    """JSON schema of the configuration, for editors that complete and check YAML."""
    found = StudyConfig.model_json_schema()
    # left out where null
    sets = found["properties"]["structures"]["patternProperties"]
    sets |= {name: {"anyOf": [of_set, {"type": "null"}]} for name, of_set in sets.items()}
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Poreflux configuration",
        "$comment": f"written by {COMMAND}",
    }
    return json.dumps(head | _plain(found), indent=2, ensure_ascii=False) + "\n"


def _plain(node, named: bool = False):
    """Without titles, which pydantic makes of names, and with the first paragraph of docstrings.

    ``named``: the keys are names of ours.
    """
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {
        key: _plain(each, not named and key in ("properties", "$defs"))
        for key, each in node.items()
        if named or key != "title"
    }
    if not named and "patternProperties" in found:
        found["additionalProperties"] = False
    if not named and isinstance(found.get("description"), str):
        found["description"] = " ".join(found["description"].partition("\n\n")[0].split())
    return found


def defaults() -> str:
    """Every key with its default, as YAML, with unit, range and meaning in comments."""
    head = f"""\
        # yaml-language-server: $schema=schema.json
        # Every key of the configuration with its default; written by {COMMAND}, not by hand.
        # A study's own file, such as config.yaml, says only what differs."""
    return textwrap.dedent(head) + "\n" + "\n".join(_yaml(StudyConfig(), 0)) + "\n"


def _yaml(settings: BaseModel, depth: int, explained: bool = True) -> Iterator[str]:
    """Lines of a block with its values, each under its meaning."""
    indent, outlined = "  " * depth, set()
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if depth == 0:
            yield ""
        if explained:
            yield from _comment(meaning(field), indent)
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from _yaml(value, depth + 1, explained)
        elif isinstance(value, dict) and value:
            yield f"{indent}{name}:"
            for i, (key, each) in enumerate(value.items()):
                yield f"{indent}  {key}:"
                # the same for all
                yield from _yaml(each, depth + 2, explained and i == 0)
        else:
            yield f"{indent}{name}: {_flow(value)}"
            # what could stand in a block that is not there, once
            models = {*_models(field.annotation)}
            if explained and not models <= outlined:
                yield from _outline(field, f"{indent}#   ")
            outlined |= models


def _outline(field: FieldInfo, indent: str) -> Iterator[str]:
    """The keys of a block, or of each block in it by name, as comments."""
    for model in _models(field.annotation):
        if any(get_origin(kind) is dict for kind in kinds_of(field.annotation)):
            yield f"{indent}<name>:"
            indent += "  "
        for name, each in model.model_fields.items():
            yield from _comment(meaning(each), indent)
            if [*_models(each.annotation)]:
                yield f"{indent}{name}:"
                yield from _outline(each, indent + "  ")
            else:
                value = "<needed>" if each.is_required() else _flow(each.get_default())
                yield f"{indent}{name}: {value}"


def _comment(text: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False
    )


def _flow(value) -> str:
    if isinstance(value, tuple):
        value = list(value)
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("...\n").strip()


def table() -> str:
    """The page on all keys for the documentation."""
    lines = [
        "# Configuration",
        "",
        f"Written by `{COMMAND}` from the classes that check it; "
        f"[{Path(DEFAULTS).name}](../{DEFAULTS}) is the same as a file to copy from. A study's own "
        "file says only what differs; `--config` on the command line goes before files. Blocks "
        "called `gcmc` and `md` are read as `uptake` and `diffusion` for one release more.",
        "",
        *_rows("Of the study", StudyConfig, ""),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _rows(title: str, model: type[BaseModel], prefix: str) -> list[str]:
    rows, below = [], []
    for name, field in model.model_fields.items():
        inner = next(_models(field.annotation), None)
        if inner:
            named = any(get_origin(kind) is dict for kind in kinds_of(field.annotation))
            path = f"{prefix}{name}.<name>" if named else f"{prefix}{name}"
            below += _rows(f"`{path}`: {_cell(field.description)}", inner, f"{path}.")
        else:
            rows.append(
                f"| `{name}` | {_default(field)} | {unit_of(field)} | {_cell(allowed(field))} | "
                f"{_cell(field.description)} |"
            )
    head = ["| key | default | unit | range | meaning |", "| --- | --- | --- | --- | --- |"]
    return [f"## {title}", "", *head, *rows, "", *below] if rows else below


def _models(annotation) -> Iterator[type[BaseModel]]:
    for kind in kinds_of(annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
        elif get_origin(kind) is dict:
            yield from _models(get_args(kind)[1])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(needed)"
    value: Any = field.get_default(call_default_factory=True)
    return f"`{_flow(value)}`"


def _cell(text: str) -> str:
    return re.sub(r"<(\w+)>", r"&lt;\1&gt;", text.replace("|", "\\|"))


def files() -> dict[str, str]:
    """What each file should hold, by its place in the checkout."""
    return {
        SCHEMA: schema(),
        DEFAULTS: defaults(),
        TABLE: table(),
        COMMANDS: page(COMMAND),
        API: api_docs.reference(),
    }


def main() -> None:
    """Write the files into the checkout that the library lies in."""
    root = Path(__file__).parents[3]
    for name, text in files().items():
        (root / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
