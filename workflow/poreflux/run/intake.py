"""Stage ``structures``: from files and package names to checked structures.

A set of structures is described in the configuration: a folder or glob of CIF files, names of
the CoRE MOF archives in the package ``core-mof``, or names of hypothetical MOFs that
``pormake`` builds.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pandas as pd

from poreflux.base.errors import ConfigError, StructureError
from poreflux.base.processes import Outcome, run_isolated
from poreflux.base.progress import Progress
from poreflux.run.artifacts import Limits, take_or_make
from poreflux.store import Ingredients, Store, package_version
from poreflux.store.code import code_digest
from poreflux.structures import checks as quality
from poreflux.structures import packages
from poreflux.structures.cif import parse_with_remarks, read_bytes

log = logging.getLogger(__name__)

SUMMARY_COLUMNS = [
    "name",
    "content_hash",
    "status",
    "reason",
    "formula",
    "n_atoms",
    "volume_A3",
    "density_g_cm3",
    "warnings",
]
# The word under ``names`` for every structure of an archive.
ALL_NAMES = "all"
_WITH_DEFAULT = re.compile(r"\$\{(\w+):-([^}]*)\}")
STRUCTURE_COLUMNS = ["lengths_A", "angles_deg", "species", "frac", "listed"]


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
        if packaged.is_file():
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
    return list(dict.fromkeys(pd.read_csv(path, usecols=[0], dtype=str).iloc[:, 0].dropna()))


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


def read_structures(
    members: dict[str, str],
    spec: dict,
    *,
    store: Store,
    checks: dict,
    limits: Limits | None = None,
) -> pd.DataFrame:
    """Read (or build) and check structures.

    Parameters
    ----------
    members : dict
        From :func:`list_members`, or a shard of it.
    spec : dict
        The set's block of the configuration.
    store : Store
        Keeps what ``pormake`` builds, and why it cannot.
    checks : dict
        ``structure_checks`` of the configuration: ``symmetry``
        (:func:`poreflux.structures.cif.read_cif`), ``min_distance_A``
        (:func:`poreflux.structures.checks.find_warnings`) and ``fail_on``, codes of warnings that
        are failures.
    limits : Limits
        Processes at once, and what each structure may take.

    Returns
    -------
    DataFrame
        A row per structure: :data:`SUMMARY_COLUMNS`, then the structure itself.
    """
    limits = limits or Limits()
    cifs = _load(members, spec, store, limits)
    names = list(members)
    rows = {}
    progress = Progress(len(names), "structures", log)
    tasks = [(cifs[n], checks) for n in names]
    for outcome in run_isolated(_parse, tasks, **limits.as_dict()):
        name = names[outcome.index]
        if outcome.error:
            log.warning("%s: %s", name, outcome.reason)
            rows[name] = {
                "name": name, "content_hash": "", "status": "failed", "reason": outcome.reason,
                "warnings": "",
            }  # fmt: skip
        else:
            rows[name] = {"name": name, "status": "ok", "reason": ""} | outcome.value
        progress.step()
    table = pd.DataFrame([rows[n] for n in sorted(rows)])
    return table.reindex(columns=SUMMARY_COLUMNS + STRUCTURE_COLUMNS)


def _parse(cif: bytes | StructureError | str, checks: dict) -> dict:
    if isinstance(cif, StructureError):
        raise cif
    data = read_bytes(cif) if isinstance(cif, str) else cif
    s, warnings = parse_with_remarks(data, symmetry=checks.get("symmetry", "expand"))
    warnings |= quality.find_warnings(s, min_distance_A=checks.get("min_distance_A", 0.5))
    quality.fail_on(warnings, checks.get("fail_on", ()))
    return {
        "content_hash": s.content_hash,
        "formula": s.formula,
        "n_atoms": s.n_atoms,
        "volume_A3": s.volume_A3,
        "density_g_cm3": s.density_g_cm3,
        "warnings": quality.join(warnings),
        "lengths_A": list(s.lengths_A),
        "angles_deg": list(s.angles_deg),
        "species": list(s.species),
        "frac": s.frac.ravel().tolist(),
        "listed": s.listed.tolist(),
    }


def _load(members: dict, spec: dict, store: Store, limits: Limits) -> dict:
    """Per name: the CIF's bytes, its path (read later), or the error that building it gave."""
    if not any(path == "" for path in members.values()):
        return members
    if spec["package"] == "core-mof":
        return dict(packages.core_mof_cifs(spec["archive"], list(members)))
    return _build(list(members), store, limits)


def build_ingredients(name: str) -> Ingredients:
    """What determines the CIF that ``pormake`` builds under a name."""
    return Ingredients(
        stage="build",
        subject=hashlib.sha256(name.encode()).hexdigest(),
        inputs={},
        params={"name": name},
        code=code_digest("poreflux.structures.packages"),
        engines={"pormake": package_version("pormake")},
    )


def _build(names: list[str], store: Store, limits: Limits) -> dict[str, bytes | StructureError]:
    def make(missing: list[str]) -> Iterator[Outcome]:
        packages.load_pormake()
        tasks = [(name,) for name in missing]
        return run_isolated(packages.build_pormake, tasks, **limits.as_dict())

    return take_or_make(
        {name: build_ingredients(name) for name in names},
        make,
        store,
        encode=_encoded_build,
        decode=_decoded_build,
        keep=_is_final,
        what="structures built",
    )


def _encoded_build(outcome: Outcome) -> tuple[bytes, dict]:
    if outcome.error:
        return b"", {"failed": f"could not be built: {outcome.reason}"}
    return outcome.value, {}


def _decoded_build(payload: bytes, facts: dict) -> bytes | StructureError:
    return StructureError(facts["failed"]) if "failed" in facts else payload


def _is_final(outcome: Outcome) -> bool:
    """Whether a build would end in the same way again.

    What the checks refuse they refuse again; a limit, a crash or PORMAKE's own error, which may be
    want of memory, need not come again.
    """
    refused = outcome.error == "StructureError" and "cannot assemble" not in outcome.reason
    return refused or not outcome.error
