"""The configuration of a study, read from YAML files and checked.

``complete(config, files)`` checks what Snakemake has merged, ``load(default, *files)`` merges files
as Snakemake does and checks the result. Both give a :class:`poreflux.run.settings.StudyConfig`:

>>> config = complete({"uptake": {"pressures_bar": [1, 65]}, "structures": {"source": None}})
>>> config.uptake.pressures_bar, config.structures["target"].stages[0], config.learning.draws
((1.0, 65.0), 'geometry', 20)

``config.settings_of("uptake")`` is what a stage computes with, the study's seed included;
``config.crosscheck_settings_of("uptake")`` what the reference code does. Any of them gives a dict
of plain values by ``.model_dump(mode="json")``: what keys of the store are made of.
"""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Literal, get_origin

import yaml
from pydantic import ValidationError

from poreflux.base.errors import ConfigError
from poreflux.base.settings import inside, kinds_of, problems
from poreflux.run.settings import StudyConfig

log = logging.getLogger(__name__)

__all__ = ["COMMAND_LINE", "OLD_NAMES", "StudyConfig", "complete", "load"]

# Where a value comes from that stands in none of the files.
COMMAND_LINE = "the command line (--config)"
# Blocks that had another name; read for one release more.
OLD_NAMES = {"gcmc": "uptake", "md": "diffusion"}


def load(default: str | Path, *files: str | Path) -> StudyConfig:
    """The configuration in YAML files, as Snakemake would merge them.

    Parameters
    ----------
    default : path
        The workflow's own file.
    *files : paths
        Laid over it, a later one over an earlier one.

    Raises
    ------
    ConfigError
        If a file cannot be read, and as :func:`complete`.
    """
    merged: dict = {}
    for file in (default, *files):
        _lay_over(merged, _read(file))
    return complete(merged, (*files, default))


def complete(config: Mapping, files: Iterable[str | Path] = ()) -> StudyConfig:
    """Check a configuration and fill in what it leaves out.

    Parameters
    ----------
    config : mapping
        As read from YAML, nested; not changed. Text from Snakemake's command line, such as the
        values in ``--config 'diffusion={n_molecules: 41}'``, means what it would in YAML.
    files : iterable of paths
        The YAML files that it was merged from, as ``workflow.configfiles`` lists them: the user's
        in their order, then the workflow's own. An error names the one that holds the wrong value.

    Returns
    -------
    StudyConfig
        A set under ``structures`` that is given as null is left out.

    Raises
    ------
    ConfigError
        Names file, key, value, what is allowed and the nearest valid key; all mistakes at once.

    Notes
    -----
    A block under a name of :data:`OLD_NAMES` is logged as a warning, and an error beside its new
    name in the same file.
    """
    sources = _Sources(files)
    given = _renamed(copy.deepcopy(dict(config)), sources)
    try:
        return StudyConfig.model_validate(_meant(given, StudyConfig))
    except ValidationError as error:
        lines = [
            f"{sources.origin(problem.path, given)}: {problem.text}"
            for problem in problems(error, StudyConfig)
        ]
        raise ConfigError("\n".join(lines)) from None


class _Sources:
    """The files behind a merged configuration, in the order in which they win."""

    def __init__(self, files: Iterable[str | Path]):
        *users, default = [*files] or [None]
        self.trees = []
        for file in [*reversed(users), *([default] if default else [])]:
            tree = _read(file)
            for old, new in OLD_NAMES.items():
                if old in tree and new in tree:
                    raise _twice(file, old, new)
                if old in tree:
                    tree[new] = tree.pop(old)
            self.trees.append((str(file), tree))

    def origin(self, path: tuple, config: dict) -> str:
        """Who gave what stands at a path, or else the block around it."""
        for n in range(len(path), 0, -1):
            value = _at(config, path[:n])
            if value is not _NOTHING:
                return self.name(self.rank(path[:n], value))
        return self.name(0) if self.trees else COMMAND_LINE

    def name(self, rank: int) -> str:
        """The file of a rank, or the command line."""
        return COMMAND_LINE if rank < 0 else self.trees[rank][0]

    def rank(self, path: tuple, value) -> int:
        """Which file gave a value, -1 for none; of a block, who gave any of it and wins."""
        if isinstance(value, dict) and value:
            return min(self.rank((*path, key), each) for key, each in value.items())
        for i, (_, tree) in enumerate(self.trees):
            found = _at(tree, path)
            if found == value or (found != found and value != value):  # NaN
                return i
        return -1


class _Loader(yaml.SafeLoader):
    """Reads YAML, where a key that stands twice in a block is an error, not silently the last."""

    def construct_mapping(self, node, deep=False):
        """The mapping of a node."""
        lines: dict = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if isinstance(key, Hashable) and lines.setdefault(key, line) != line:
                raise ConfigError(
                    f"the key {key!r} stands twice, in lines {lines[key]} and {line}; join the two"
                )
        return super().construct_mapping(node, deep)


def _read(file: str | Path) -> dict:
    """The blocks in a YAML file.

    Raises
    ------
    ConfigError
        If the file cannot be read, is no YAML, holds no blocks, or a key twice.
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
        # JSON, which Snakemake reads as well, is YAML but for tabs
        tree = yaml.load(text.expandtabs() if text[:1] == "{" else text, _Loader)
    except OSError as error:
        raise ConfigError(f"cannot read --configfile {file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is no YAML in UTF-8: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None
    if not isinstance(tree, dict | None):
        raise ConfigError(f"{file} must hold blocks of settings, not {tree!r}")
    return tree or {}


_NOTHING = object()
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


def _at(tree, path: tuple):
    for part in path:
        if isinstance(tree, dict) and part in tree:
            tree = tree[part]
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return _NOTHING
    return tree


def _twice(where, old: str, new: str) -> ConfigError:
    return ConfigError(
        f"{where}: both {old!r} and {new!r} are given; {old} is the old name of {new}: move its "
        f"keys to {new}"
    )


def _renamed(config: dict, sources: _Sources) -> dict:
    """The configuration with new names alone; of two files that one wins which did before."""
    for old, new in OLD_NAMES.items():
        if old not in config:
            continue
        block = config.pop(old)
        rank = sources.rank((new,), block)
        if new in config and rank < 0 and sources.rank((new,), config[new]) < 0:
            raise _twice(COMMAND_LINE, old, new)
        # Snakemake swallows Python's warnings
        log.warning(
            "%s: the block %r is called %r now; the old name will not be read after the next "
            "release",
            sources.name(rank),
            old,
            new,
        )
        config[new] = _merged((new,), block, config[new], sources) if new in config else block
    return config


def _merged(path: tuple, one, other, sources: _Sources):
    if isinstance(one, dict) and isinstance(other, dict):
        both = {
            key: _merged((*path, key), one[key], other[key], sources) for key in one if key in other
        }
        return one | other | both
    return one if sources.rank(path, one) < sources.rank(path, other) else other


def _meant(value, annotation):
    """What a value means where text can be no text; 1e3, which YAML reads as text, is a number."""
    kinds = [*kinds_of(annotation)]
    texts = any(kind is str or get_origin(kind) is Literal for kind in kinds)
    if isinstance(value, str):
        if texts:
            return None if value == "null" and type(None) in kinds else value
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            return value
        if read is None and type(None) not in kinds:
            return value
        value = float(read) if isinstance(read, str) and _NUMBER.fullmatch(read) else read
    if isinstance(value, dict):
        return {key: _meant_inside(each, kinds, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_meant_inside(each, kinds, i) for i, each in enumerate(value)]
    return value


def _meant_inside(value, kinds: list, part: str | int):
    found = [there for kind in kinds if (there := inside(kind, part))]
    return _meant(value, found[0][0]) if found else value


def _lay_over(base: dict, other: dict) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _lay_over(base[key], value)
        else:
            base[key] = value
