"""The configuration: defaults filled, checked against the closed schema, errors that help."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterable
from pathlib import Path

import jsonschema
import yaml

from poreflux.base.errors import ConfigError

# Where a value comes from that stands in none of the files.
COMMAND_LINE = "the command line (--config)"


def load_schema(path: str | Path) -> dict:
    """The JSON schema as a dict."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def complete(config: dict, schema: dict, files: Iterable[str | Path] = ()) -> dict:
    """Check a configuration and fill in what it leaves out.

    Parameters
    ----------
    config : dict
        As read from YAML, nested; not changed.
    schema : dict
        JSON schema whose objects are closed and whose ``default`` values are filled here, at
        any depth, parents included.
    files : iterable of paths
        The YAML files the configuration came from, in order of loading: an error names the
        last one that holds the wrong key.

    Returns
    -------
    dict
        A new, complete configuration. Whole numbers given where the schema says ``number``
        become floats, so that ``298`` and ``298.0`` are the same parameter. A set under
        ``structures`` that is given as null is left out.

    Raises
    ------
    ConfigError
        Names file, key, value, what is allowed and the nearest valid key; all errors at once.
    """
    given = copy.deepcopy(config)
    sets = given.get("structures")
    # a set of the default configuration that this study does without
    dropped = [k for k, v in sets.items() if v in (None, "null")] if isinstance(sets, dict) else []
    for name in dropped:
        del sets[name]
    filled = _fill(given, schema, schema)
    errors = sorted(
        jsonschema.Draft202012Validator(schema).iter_errors(filled),
        key=lambda e: [str(p) for p in e.absolute_path],
    )
    if errors:
        files = list(files)
        raise ConfigError("\n".join(_explain(e, files) for e in errors))
    for name in dropped:
        filled["structures"].pop(name, None)
    return filled


def _resolve(schema: dict, root: dict) -> dict:
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return target
    return schema


def _types(schema: dict) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def _from_text(value: str, schema: dict):
    """What a string means where no string is allowed: ``--config 'md={n_molecules: 41}'``.

    Snakemake leaves every value inside braces on its command line a string.
    """
    if not _types(schema) or "string" in _types(schema):
        return None if value == "null" and "null" in _types(schema) else value
    try:
        meant = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return value if meant is None and "null" not in _types(schema) else meant


def _fill(value, schema: dict, root: dict):
    schema = _resolve(schema, root)
    if isinstance(value, str):
        value = _from_text(value, schema)
    if "object" in _types(schema) and isinstance(value, dict):
        for key, sub in schema.get("properties", {}).items():
            sub = _resolve(sub, root)
            if key not in value:
                if "default" in sub:
                    value[key] = copy.deepcopy(sub["default"])
                elif _types(sub) == ["object"]:
                    value[key] = {}
                else:
                    continue
            value[key] = _fill(value[key], sub, root)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            for key in set(value) - set(schema.get("properties", {})):
                value[key] = _fill(value[key], extra, root)
    elif "array" in _types(schema) and isinstance(value, list) and "items" in schema:
        value = [_fill(v, schema["items"], root) for v in value]
    elif "number" in _types(schema) and type(value) is int:
        value = float(value)
    return value


def _explain(error: jsonschema.ValidationError, files: list) -> str:
    path = [str(p) for p in error.absolute_path]
    where = ".".join(path) or "(top level)"
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = [k for k in error.instance if k not in known]
        lines = []
        for key in unknown:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            full = ".".join([*path, str(key)])
            lines.append(
                f"{_origin([*path, str(key)], files)}: unknown key {full!r}; "
                f"{hint}Valid keys here: {', '.join(known)}"
            )
        return "\n".join(lines)
    # A file or folder's meaning is in the schema's text; say it with the value.
    rule = {
        "enum": lambda: f"must be one of {', '.join(map(str, error.validator_value))}",
        "type": lambda: f"must be of type {error.validator_value}",
        "minimum": lambda: f"must be at least {error.validator_value}",
        "maximum": lambda: f"must be at most {error.validator_value}",
        "exclusiveMinimum": lambda: f"must be above {error.validator_value}",
        "exclusiveMaximum": lambda: f"must be below {error.validator_value}",
        "minItems": lambda: f"needs at least {error.validator_value} entries",
        "pattern": lambda: f"must match {error.validator_value}",
        "required": lambda: error.message,
    }.get(error.validator, lambda: error.message)()
    if error.validator == "enum" and isinstance(error.instance, str):
        near = difflib.get_close_matches(error.instance, map(str, error.validator_value), 1)
        rule += f"; did you mean {near[0]!r}?" if near else ""
    meaning = error.schema.get("description", "")
    return f"{_origin(path, files)}: {where} {rule}, got {error.instance!r}" + (
        f" ({meaning})" if meaning else ""
    )


def _origin(path: list[str], files: list) -> str:
    """The last of the files that holds the key, else the command line."""
    for file in reversed(files):
        try:
            node = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError):
            continue
        for part in path:
            if isinstance(node, dict) and part in node:
                node = node[part]
            elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
                node = node[int(part)]
            else:
                break
        else:
            return str(file)
    return COMMAND_LINE
