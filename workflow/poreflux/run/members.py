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

from poreflux.base.canonical import digest
from poreflux.base.errors import ConfigError, DataError
from poreflux.base.foreign_tables import read_table
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
    if spec.get("cifs") is not None:
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
        paths = [os.path.normpath(path) for path in matches(pattern)]
        if not paths:
            raise ConfigError(f"no CIF files match cifs: {pattern}")
        for path in sorted(paths):
            # what no table can hold becomes \\xff, as a shell shows it
            name = os.fsencode(Path(path).stem).decode("utf-8", "backslashreplace")
            if found.setdefault(name, path) != path:
                raise ConfigError(f"two CIFs are named {name!r}: {found[name]} and {path}")
    return dict(sorted(found.items()))


def matches(pattern: str) -> list[str]:
    """The files that a folder, a path or a glob stands for.

    A path that is there means itself, whatever characters it has; so do the brackets of folders
    and files that are there. A link counts though it may lead nowhere.
    """
    if os.path.isdir(pattern):
        try:
            names = os.listdir(pattern)
        except OSError as error:
            raise ConfigError(f"cannot list cifs: {pattern}: {error.strerror}") from error
        return [os.path.join(pattern, n) for n in names if Path(n).suffix.lower() == ".cif"]
    if os.path.lexists(pattern):
        return [pattern]
    # brackets first as themselves, then as a choice of characters
    for tried in (pattern.replace("[", "[[]"), _with_literal_start(pattern)):
        found = glob.glob(tried, recursive=True)
        files = [p for p in found if not os.path.isdir(p) or p.lower().endswith(".cif")]
        if files:
            return files
    return []


def _with_literal_start(pattern: str) -> str:
    """A glob in which the folders that are there mean themselves."""
    for parent in Path(pattern).parents:
        if os.path.isdir(parent):
            return str(Path(glob.escape(str(parent))) / Path(pattern).relative_to(parent))
    return pattern


def fits_snakemake(path: str) -> bool:
    """Whether a file can be an input of a job.

    Snakemake ends the run at a file that it cannot read, takes braces and angle brackets for names
    to be filled in, and cannot write down what is no UTF-8.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return not set("{}<>\n\r") & set(path) and os.path.isfile(path) and os.access(path, os.R_OK)


def word_for(members: dict[str, str]) -> str:
    """What makes a job that reads these members run again.

    Their names and paths, and the contents of files that cannot be inputs of a job.
    """
    others = {
        path: _content(path) for path in members.values() if path and not fits_snakemake(path)
    }
    count = digest([members, others])[:12] if others else digest(members)[:12]
    return f"{len(members)} structures ({count})"


def _content(path: str) -> str:
    try:
        # a device or a pipe may never end
        return hashlib.sha256(Path(path).read_bytes()).hexdigest() if os.path.isfile(path) else ""
    except OSError as error:
        return error.strerror


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
        return _read_names(path, spec)
    if not names:
        raise ConfigError("a set with 'package' needs 'names': a list or a file of names")
    if len(set(names)) != len(names):
        raise ConfigError("names: a name is listed twice")
    return names


def _read_names(path: str, spec: dict) -> list[str]:
    """The names in a file, at least one; each once."""
    try:
        is_table = {".csv", ".parquet"} & {suffix.lower() for suffix in Path(path).suffixes}
        return _first_column(path, spec) if is_table else packages.read_names(path)
    except DataError as error:
        raise ConfigError(f"names: {error}") from error


def _first_column(path: str, spec: dict) -> list[str]:
    """Names in the first column of a table, each once."""
    table = read_table(path)
    if packages.is_name(table.columns[0], spec["package"], spec.get("archive", "")):
        raise DataError(
            f"{path}: the first line must be the head, but it is a structure, "
            f"{table.columns[0]!r}; put a line with the word name above it"
        )
    names = [name for name in table.texts(table.columns[0]) if name]
    if not names:
        raise DataError(f"{path}: the first column, {table.columns[0]!r}, holds no names")
    return list(dict.fromkeys(names))


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
