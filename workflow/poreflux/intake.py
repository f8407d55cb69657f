"""Stage ``structures``: from files and package names to checked structures.

A set of structures is described in the configuration: a folder or glob of CIF files, names of
the CoRE MOF archives in the package ``core-mof``, or names of hypothetical MOFs that
``pormake`` builds.
"""

from __future__ import annotations

import glob
import hashlib
import logging
from importlib import resources
from pathlib import Path

import pandas as pd

from poreflux import sources
from poreflux.errors import ConfigError, StructureError
from poreflux.parallel import run_isolated
from poreflux.progress import Progress
from poreflux.store import Ingredients, Store, code_digest, package_version
from poreflux.structure import Structure, parse_cif

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
]
STRUCTURE_COLUMNS = ["lengths_A", "angles_deg", "species", "frac"]


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
        so many names count); at most ``limit``.

    Raises
    ------
    ConfigError
        If nothing matches, two files have one name, or a names file is missing.
    """
    if spec.get("cifs"):
        members = _files(spec["cifs"])
    elif spec.get("package"):
        members = dict.fromkeys(_names(spec.get("names"), base)[: spec.get("first")], "")
    else:
        raise ConfigError("a set under 'structures' needs 'cifs' or 'package' and 'names'")
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


def _names(names, base: Path) -> list[str]:
    if isinstance(names, str):
        packaged = Path(str(resources.files("poreflux").joinpath("data", names)))
        path = next((p for p in (Path(names), base / names, packaged) if p.is_file()), None)
        if path is None:
            raise ConfigError(f"names: {names} is neither a file nor a list of the package")
        return sources.read_names(path)
    if not names:
        raise ConfigError("a set with 'package' needs 'names': a list or a file of names")
    if len(set(names)) != len(names):
        raise ConfigError("names: a name is listed twice")
    return names


def shard_of(name: str, shards: int) -> int:
    """The shard of a structure: from a hash of its name, so that others never move it."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % shards


def read_structures(
    members: dict[str, str],
    spec: dict,
    *,
    store: Store,
    checks: dict,
    workers: int = 1,
    seconds: float = 600.0,
    memory_mb: float = 4096.0,
) -> pd.DataFrame:
    """Read (or build) and check structures.

    Parameters
    ----------
    members : dict
        From :func:`list_members`, or a shard of it.
    spec : dict
        The set's block of the configuration.
    store : Store
        Keeps what ``pormake`` builds.
    checks : dict
        Parameters of :func:`poreflux.structure.read_cif`.
    workers, seconds, memory_mb
        As in :func:`poreflux.parallel.run_isolated`.

    Returns
    -------
    DataFrame
        A row a structure: :data:`SUMMARY_COLUMNS`, then the structure itself.
    """
    cifs = _load(members, spec, store, workers, seconds, memory_mb)
    names = list(members)
    rows = {}
    progress = Progress(len(names), "structures", log)
    tasks = [(cifs[n], checks) for n in names]
    for outcome in run_isolated(
        _parse, tasks, workers=workers, seconds=seconds, memory_mb=memory_mb
    ):
        name = names[outcome.index]
        if outcome.error:
            log.warning("%s: %s", name, outcome.reason)
            rows[name] = {"name": name, "status": "failed", "reason": outcome.reason}
        else:
            rows[name] = {"name": name, "status": "ok", "reason": ""} | outcome.value
        progress.step()
    table = pd.DataFrame([rows[n] for n in sorted(rows)])
    table = table.reindex(columns=SUMMARY_COLUMNS + STRUCTURE_COLUMNS)
    return table.assign(content_hash=table["content_hash"].fillna(""))


def _parse(cif: bytes | StructureError | str, checks: dict) -> dict:
    if isinstance(cif, StructureError):
        raise cif
    if isinstance(cif, str):
        try:
            cif = Path(cif).read_bytes()
        except OSError as error:
            raise StructureError(f"cannot be read: {error.strerror}") from error
    s: Structure = parse_cif(cif, **checks)
    return {
        "content_hash": s.content_hash,
        "formula": s.formula,
        "n_atoms": s.n_atoms,
        "volume_A3": s.volume_A3,
        "density_g_cm3": s.density_g_cm3,
        "lengths_A": list(s.lengths_A),
        "angles_deg": list(s.angles_deg),
        "species": list(s.species),
        "frac": s.frac.ravel().tolist(),
    }


def _load(members, spec, store, workers, seconds, memory_mb) -> dict:
    """Per name: the CIF's bytes, its path (read later), or the error that building it gave."""
    if not any(path == "" for path in members.values()):
        return members
    if spec["package"] == "core-mof":
        return dict(sources.core_mof_cifs(spec["archive"], list(members)))
    return _build(list(members), store, workers, seconds, memory_mb)


def _build(names, store, workers, seconds, memory_mb) -> dict:
    def made_of(name):
        return Ingredients(
            stage="build",
            subject=hashlib.sha256(name.encode()).hexdigest(),
            inputs={},
            params={"name": name},
            code=code_digest("poreflux.sources"),
            engines={"pormake": package_version("pormake")},
        )

    cifs = {}
    for name in names:
        found = store.get(made_of(name))
        if found:
            cifs[name] = found.payload
    missing = [n for n in names if n not in cifs]
    log.info("%d structures built before, %d to build", len(cifs), len(missing))
    if not missing:
        return cifs
    sources.load_pormake()
    progress = Progress(len(missing), "structures built", log)
    for outcome in run_isolated(
        sources.build_pormake,
        [(n,) for n in missing],
        workers=workers,
        seconds=seconds,
        memory_mb=memory_mb,
    ):
        name = missing[outcome.index]
        if outcome.error:
            cifs[name] = StructureError(f"could not be built: {outcome.reason}")
        else:
            cifs[name] = outcome.value
            store.put(made_of(name), outcome.value, cpu_s=round(outcome.cpu_s, 3))
        progress.step()
    return cifs
