"""Which structures a set has: names, where each comes from, and in which shard.

A set of structures is described in the configuration: a folder or glob of CIF files, names of
the CoRE MOF archives in the package ``core-mof``, or names of hypothetical MOFs that
``pormake`` builds.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from importlib import resources
from pathlib import Path

import pandas as pd

from poreflux.base.errors import ConfigError
from poreflux.base.tables import cell_text
from poreflux.structures import packages

# The word under ``names`` for every structure of an archive.
ALL_NAMES = "all"
_WITH_DEFAULT = re.compile(r"\$\{(\w+):-([^}]*)\}")


def list_members(spec: dict, base: Path) -> dict[str, str]:
    """Names of a set's structures and where each comes from, in a fixed order.

    Parameters
    ----------
    spec : dict
        One block under ``structures:``. ``cifs`` (a folder, a glob or a list of them) wins
        over ``package``.
    base : Path
        The workflow's folder; a relative ``names`` file is looked for in the working folder
        and then there.

    Returns
    -------
    dict
        Name to CIF path (``cifs``) or to an empty string (``package``, of which the ``first``
        so many names count, or a ``sample`` at random); at most ``limit``. None where the set
        is known by ``tables`` alone.

    Raises
    ------
    ConfigError
        If nothing matches, two files have one name, or a names file is missing.
    """
    if spec.get("cifs"):
        members = _files(spec["cifs"])
    elif spec.get("package"):
        names = _names(spec, base)
        members = dict.fromkeys(_sampled(names, spec.get("sample"))[: spec.get("first")], "")
    elif any((spec.get("tables") or {}).values()):
        members = {}
    else:
        raise ConfigError(
            "a set under 'structures' needs 'cifs', or 'package' and 'names', or 'tables'"
        )
    limit = spec.get("limit")
    return dict(list(members.items())[:limit] if limit else members.items())


def _files(patterns) -> dict[str, str]:
    patterns = [patterns] if isinstance(patterns, str) else patterns
    found: dict[str, str] = {}
    for pattern in patterns:
        if Path(pattern).is_dir():
            paths = [str(p) for p in Path(pattern).iterdir() if p.suffix.lower() == ".cif"]
        else:
            paths = glob.glob(pattern, recursive=True)
        for path in sorted(paths):
            name = Path(path).stem
            if found.setdefault(name, path) != path:
                raise ConfigError(f"two CIFs are named {name!r}: {found[name]} and {path}")
    if not found:
        raise ConfigError(f"no CIF files match cifs: {', '.join(patterns)}")
    return dict(sorted(found.items()))


def _names(spec: dict, base: Path) -> list[str]:
    names = spec.get("names")
    if names == ALL_NAMES and spec["package"] == "core-mof":
        return packages.core_mof_names(spec["archive"])
    if isinstance(names, str):
        packaged = Path(str(resources.files("poreflux").joinpath("structures", "names", names)))
        # an absolute path would lead out of the package, and be read as a list whatever it is
        if Path(names).name == names and packaged.is_file():
            return packages.read_names(packaged)
        try:
            path = find_file(names, base)
        except ConfigError as error:
            raise ConfigError(
                f"names: {names} is neither a file nor a list of the package ({error})"
            ) from error
        return _first_column(path) if ".csv" in Path(path).suffixes else packages.read_names(path)
    if not names:
        raise ConfigError("a set with 'package' needs 'names': a list or a file of names")
    if len(set(names)) != len(names):
        raise ConfigError("names: a name is listed twice")
    return names


def _first_column(path: str) -> list[str]:
    """Names in the first column of a CSV file, each once."""
    column = pd.read_csv(path, usecols=[0], dtype=str).iloc[:, 0].dropna()
    return list(dict.fromkeys(column.map(cell_text)))


def _sampled(names: list[str], number: int | None) -> list[str]:
    """So many of the names in a random order that depends on nothing but themselves."""
    if number is None:
        return names
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:number]


def find_file(name: str, base: Path) -> str:
    """Path of a file that the configuration names, with variables filled in.

    Parameters
    ----------
    name : str
        A relative path is looked for in the working folder, then in ``base``. ``$NAME`` and
        ``${NAME:-default}`` stand for what is in the environment.
    base : Path
        The workflow's folder.

    Raises
    ------
    ConfigError
        If a variable is not set or there is no such file.
    """
    path = _WITH_DEFAULT.sub(lambda m: os.environ.get(m[1]) or m[2], name)
    path = os.path.expandvars(path)
    unset = re.search(r"\$\{?(\w+)", path)
    if unset:
        raise ConfigError(f"{name}: the environment variable {unset[1]} is not set")
    found = next((p for p in (Path(path), base / path) if p.is_file()), None)
    if found is None:
        raise ConfigError(f"{name}: there is no file {path} in the working folder or in {base}")
    return str(found)


def shard_of(name: str, shards: int) -> int:
    """The shard of a structure: from a hash of its name, so that others never move it."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % shards


def by_shard(members: dict[str, str], shards: int) -> dict[int, dict[str, str]]:
    """The members of each shard that has any, by its number, in their order."""
    found: dict[int, dict[str, str]] = {}
    for name, source in members.items():
        found.setdefault(shard_of(name, shards), {})[name] = source
    return dict(sorted(found.items()))
