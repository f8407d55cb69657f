"""What makes Snakemake run a job again: words among the job's params that it compares.

Snakemake compares the values of all params of a job as one set, without their names, and shows in
a dry run those it did not find before. So each setting is a word of its own, which says what it
is: ``uptake.cutoff_A = 12.0``. It compares no param that is a function of the input: that is how
a script is given what must not count (:func:`for_script`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from poreflux.base.canonical import canonical_json
from poreflux.learning.learners import get_learner
from poreflux.store.code import code_digest, code_parts

_WILDCARD = re.compile(r"\{(?=\s*\w)")
# What runs a job, keeps its results and tells of its progress, but has no part in them.
RUNNING = (
    "poreflux.run.job",
    "poreflux.run.lineage",
    "poreflux.run.artifacts",
    "poreflux.store",
    "poreflux.base.files",
    "poreflux.base.records",
    "poreflux.base.processes",
    "poreflux.base.progress",
)


class Place(str):
    """A word that says where something is, or which shard has it.

    It makes a job run again, but what comes out does not depend on it: records do not hold it.
    """


def words(**values) -> list[str]:
    """A word per leaf of nested values.

    >>> words(uptake={"engine": "grid", "cutoff_A": 12.0}, seed=1)
    ['uptake.engine = "grid"', 'uptake.cutoff_A = 12.0', 'seed = 1']
    """

    def leaves(name: str, value) -> list[str]:
        if isinstance(value, dict) and value:
            return [word for k, v in value.items() for word in leaves(f"{name}.{k}", v)]
        return [f"{name} = {canonical_json(value)}"]

    found = [word for name, value in values.items() for word in leaves(name, value)]
    # Snakemake takes {name} for a wildcard, doubled or not
    return [_WILDCARD.sub(r"\\u007b", word) for word in found]


def plain(word: str) -> str:
    """A word as a person reads it, and as records hold it."""
    return word.replace("{{", "{").replace("}}", "}")


def code_words(*start: str | Path, without: Iterable[str] = RUNNING) -> list[str]:
    """A word per library module that scripts or modules draw on, see :func:`code_parts`."""
    parts = code_parts(*start, without=without)
    return words(**{f"code of {name}": value[:12] for name, value in parts.items()})


def learner_word(learner: str) -> str:
    """A word for the code of a learner, which the library loads by its name."""
    return words(**{f"code of {learner}": code_digest(get_learner(learner).module)[:12]})[0]


def file_words(paths: Iterable[Path]) -> list[str]:
    """A word per file: its name and the digest of its content."""
    return words(
        **{f"file {p.name}": hashlib.sha256(p.read_bytes()).hexdigest()[:12] for p in paths}
    )


def template_words() -> list[str]:
    """A word per template of the reports: a change of one changes a page."""
    folder = Path(__file__).parents[1] / "report" / "templates"
    return file_words(path for path in sorted(folder.rglob("*")) if path.is_file())


def for_script(value) -> Callable:
    """A param that a script reads and Snakemake does not compare."""
    return lambda wildcards, input: value
