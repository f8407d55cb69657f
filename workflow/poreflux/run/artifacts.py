"""What is made one by one and kept: taken from the store, or computed apart from all else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

from poreflux.base.errors import StoreError
from poreflux.base.processes import Outcome
from poreflux.base.progress import Progress
from poreflux.store import Ingredients, Store

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Limits:
    """Processes at once, and what each may take: ``seconds`` of wall time, ``memory_mb``."""

    workers: int = 1
    seconds: float = 3600.0
    memory_mb: float = 4096.0

    def as_dict(self) -> dict:
        """The arguments of :func:`poreflux.base.processes.run_isolated`."""
        return asdict(self)


def take_or_make(
    wanted: Mapping[str, Ingredients],
    make: Callable[[list[str]], Iterator[Outcome]],
    store: Store,
    *,
    encode: Callable[[Outcome], tuple[bytes, dict]],
    decode: Callable[[bytes, dict], Result],
    keep: Callable[[Outcome], bool],
    what: str,
) -> dict[str, Result]:
    """Take artifacts from the store, make those that it lacks, and store each as it ends.

    Parameters
    ----------
    wanted : mapping of str to Ingredients
        What is wanted, by any name.
    make : callable
        Given the names of what is lacking, yields an outcome per name as each ends;
        :attr:`Outcome.index` is the place in that list.
    store : Store
        Where artifacts are looked up and kept.
    encode : callable
        Payload and facts that an outcome is stored as, failures included.
    decode : callable
        The result in a payload and its facts.
    keep : callable
        Whether an outcome is stored: a property of the structure is, a limit, a crash or a
        lacking program is not, so that the next run tries again.
    what : str
        What the results are, for the log: ``structures``.

    Returns
    -------
    dict
        The result per name.

    Raises
    ------
    StoreError
        If an entry cannot be read, or what it holds is no such result.
    """
    results: dict[str, Result] = {}
    for name, ingredients in wanted.items():
        found = store.get(ingredients)
        if found:
            try:
                results[name] = decode(found.payload, found.manifest["facts"])
            except (ValueError, KeyError, TypeError) as error:
                raise StoreError(
                    f"{store.path(ingredients)} holds no {what} ({type(error).__name__}: {error}); "
                    "remove it, and it is computed again"
                ) from error
    missing = [name for name in wanted if name not in results]
    log.info("%d %s, %d stored, %d to do", len(wanted), what, len(results), len(missing))
    progress = Progress(len(missing), what, log)
    for outcome in make(missing) if missing else ():
        name = missing[outcome.index]
        payload, facts = encode(outcome)
        if keep(outcome):
            store.put(wanted[name], payload, **_costs(outcome), **facts)
        results[name] = decode(payload, facts)
        progress.step()
    return results


def _costs(outcome: Outcome) -> dict:
    costs = {"cpu_s": round(outcome.cpu_s, 3), "peak_mb": round(outcome.peak_mb, 1)}
    if outcome.gpu_s:
        costs["gpu_s"] = round(outcome.gpu_s, 3)
    return costs
