"""Stage ``structures``: from files and package names to checked structures.

Which structures a set has is for :mod:`poreflux.run.members` to say.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator

import pandas as pd

from poreflux.base.errors import StructureError
from poreflux.base.processes import Outcome, run_isolated
from poreflux.base.progress import Progress
from poreflux.base.tables import STRUCTURE_COLUMNS
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
        From :func:`poreflux.run.members.list_members`, or a shard of it.
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
    s, remarks = parse_with_remarks(data, symmetry=checks.get("symmetry", "expand"))
    found = quality.find_warnings(s, min_distance_A=checks.get("min_distance_A", 0.5))
    warnings = quality.merge(remarks, found)
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
