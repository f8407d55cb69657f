"""What each file of results must have been made of, and which were made of something else.

Snakemake knows what made a file from its own notes, ``.snakemake``, as long as nobody copies
results without them, and nothing writes a file behind its back. So each file carries a record
(:mod:`poreflux.base.records`), which is looked at twice: before any job, when files that Snakemake
would keep are made again if their records are wrong (:func:`make_stale_again`), and by each job,
which refuses such an input (:func:`poreflux.run.job.start_job`).
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from poreflux.base.canonical import digest
from poreflux.base.errors import DataError
from poreflux.base.records import REMEDY, Record, is_stamped, record_of
from poreflux.run.triggers import Place, plain

log = logging.getLogger(__name__)

# So many files are named before any job.
_TOLD = 5
# Sums of digests, which no order and no number of shards shows in, are taken modulo this.
_MODULUS = 2**256


class Expected(NamedTuple):
    """What a job needs to know about its files, see :meth:`Lineage.of_job`.

    Attributes
    ----------
    words : tuple of str
        Of the job's own rule.
    inputs : dict of str to (tuple of str or None)
        Per input the words of the rule that makes it, ``None`` of a file that no rule makes.
    members : dict of str to str, or None
        Of a job that reads structures: names and paths.
    origin : dict
        Where members without a path come from.
    """

    words: tuple[str, ...]
    inputs: dict[str, tuple[str, ...] | None]
    members: dict[str, str] | None = None
    origin: Mapping = {}

    @property
    def made(self) -> list[str]:
        """The inputs that rules make."""
        return [path for path, words in self.inputs.items() if words is not None]


class Lineage:
    """What the rules of a workflow make, by the params that Snakemake compares.

    Parameters
    ----------
    rules : iterable of Snakemake's rules
        All of them, once every file of rules is included; of two that make a file the first
        counts. Those without the param ``lineage`` are not ours, but of a workflow that uses this
        one as a module: their files carry no records.
    wildcards : type
        Snakemake's class ``Wildcards``.
    """

    def __init__(self, rules: Iterable, wildcards: type):
        self.wildcards = wildcards
        self.rules = [rule for rule in rules if "lineage" in rule.params.keys()]
        self._words: dict[tuple, tuple[str, ...]] = {}

    def of_job(self, wildcards, input, output) -> Expected:
        """What a job must know: a function for Snakemake's params."""
        rule, own = self._maker(str(output[0]))
        inputs = {str(path): self.words_of(str(path)) for path in input}
        params = rule.params
        members = origin = None
        if "members" in params.keys():
            members, origin = params.members(own, input), params.spec(own, input)
        return Expected(self._words_of(rule, own), inputs, members, origin or {})

    def words_of(self, path: str) -> tuple[str, ...] | None:
        """The words of the rule that makes a file; ``None`` where none does."""
        found = self._maker(path)
        return self._words_of(*found) if found else None

    def inputs_of(self, path: str) -> dict[str, tuple[str, ...] | None]:
        """The inputs of a file that a rule makes, as :class:`Expected` holds them."""
        rule, own = self._maker(path)
        inputs, *_ = rule.expand_input(self.wildcards(fromdict=vars(own)))
        return {str(of): self.words_of(str(of)) for of in inputs}

    def _maker(self, path: str):
        for rule in self.rules:
            if any(output.match(path) for output in rule.output):
                return rule, SimpleNamespace(**rule.get_wildcards(path))
        return None

    def _words_of(self, rule, wildcards) -> tuple[str, ...]:
        # no word depends on the shard but those of a Place
        of = {k: v for k, v in vars(wildcards).items() if k != "shard"}
        key = (rule.name, *sorted(of.items()))
        if key not in self._words:
            found: list[str] = []
            for item in rule.params:
                found += _words_in(item, wildcards)
            self._words[key] = tuple(sorted(found))
        return self._words[key]


def _words_in(item, wildcards) -> list[str]:
    """The words in a param, as :func:`poreflux.run.triggers.words` made them."""
    if callable(item):
        if [*inspect.signature(item).parameters] != ["wildcards"]:
            return []  # Snakemake does not compare it
        item = item(wildcards)
    if isinstance(item, Place):
        return []
    if isinstance(item, str):
        return [plain(item)]
    if isinstance(item, (list, tuple)) and all(isinstance(part, str) for part in item):
        return [word for part in item for word in _words_in(part, wildcards)]
    return [repr(item)]


# --- records ----------------------------------------------------------------------------------


def expected_record(expected: Expected, records: Mapping[str, Record]) -> Record:
    """The record of what a job makes, given those of its inputs."""
    return Record(expected.words, made_from(expected, records), _sources(expected, records))


def made_from(expected: Expected, records: Mapping[str, Record]) -> str:
    """Digest of the words of all rules that made a job's inputs, given the records of these."""
    chains: dict[str, set[str]] = defaultdict(set)
    for path in expected.made:
        chains[_group_of(path)].add(records[path].chain)
    return digest({group: sorted(found) for group, found in chains.items()})


def _sources(expected: Expected, records: Mapping[str, Record]) -> str:
    numbers: dict[str, int] = defaultdict(int)
    for path in expected.made:
        numbers[_group_of(path)] += int(records[path].sources, 16)
    if expected.members is not None:
        origin = digest(dict(expected.origin))
        for name, path in expected.members.items():
            numbers["files"] += _cif_number(name, path) if path else _number(name, origin)
    else:
        for path in set(expected.inputs) - set(expected.made):
            numbers["files"] += _file_number(Path(path).name, path)
    sums = {group: f"{number % _MODULUS:064x}" for group, number in numbers.items()}
    # what all shards pass on adds up to what their joined table has
    return next(iter(sums.values())) if len(sums) == 1 else digest(sums)


def _group_of(path: str) -> str:
    """What an input is to a job: the same for all shards of a table, in any study's folder."""
    *_, owner, last = (Path(path).parent if "/shards/" in path else Path(path)).parts
    return f"{owner}/{last}"


def _file_number(name: str, path: str) -> int:
    return _number(name, hashlib.sha256(_bytes_of(path)).hexdigest())


def _cif_number(name: str, path: str) -> int:
    """As :func:`_file_number`, but for comments, spaces and ends of lines, which say nothing."""
    lines = _bytes_of(path).splitlines()
    words = [word for line in lines if line[:1] != b"#" for word in line.split()]
    return _number(name, hashlib.sha256(b" ".join(words)).hexdigest())


def _bytes_of(path: str) -> bytes:
    """What is in a file; nothing where it cannot be read, or is a device or a pipe."""
    try:
        return Path(path).read_bytes() if os.path.isfile(path) else b""
    except OSError:
        return b""


def _number(*parts: str) -> int:
    return int(digest(parts), 16)


def difference(record: Record | None, words: tuple[str, ...]) -> str:
    """In words: how a file was made otherwise than by a rule with these words; or nothing."""
    if record is None:
        return "carries no record of what made it: it is truncated or of another program"
    old, new = set(record.words), set(words)
    if old == new:
        return ""
    gone, come = sorted(old - new), sorted(new - old)
    return f"was made with {', '.join(gone) or 'less'}; now: {', '.join(come) or 'none of it'}"


def check_inputs(expected: Expected) -> dict[str, Record]:
    """The records of a job's inputs.

    Raises
    ------
    DataError
        If an input was made with other settings or code than this run's; the message names it,
        what differs and the remedy.
    """
    found = {}
    for path in expected.made:
        record = record_of(path)
        problem = difference(record, expected.inputs[path])
        if problem:
            raise DataError(f"{path} {problem}; {REMEDY}")
        found[path] = record
    return found


# --- before any job ---------------------------------------------------------------------------


def make_stale_again(workflow, lineage: Callable[[], Lineage]) -> None:
    """Let Snakemake make again what it would keep although its record is wrong.

    Called at the end of the Snakefile: it looks at the jobs once Snakemake has planned them, in a
    dry run as well.

    Parameters
    ----------
    workflow
        Snakemake's object of that name.
    lineage : callable
        Gives the lineage of all rules.
    """
    if not workflow.is_main_process:
        return
    build = workflow._build_dag

    def build_and_check() -> None:
        build()
        stale = stale_files(workflow.dag, workflow.persistence, lineage())
        if stale:
            workflow.dag.forcefiles.update(stale)
            workflow.async_run(workflow.dag.update_needrun())

    workflow._build_dag = build_and_check


def stale_files(dag, persistence, lineage: Lineage) -> list[str]:
    """Files of jobs that Snakemake would not run, whose record is not that of the job.

    The contents of files that no rule makes count where Snakemake has no notes of its own.
    """
    read = cache(record_of)
    stale: list[str] = []
    why: list[str] = []
    for job in dag.jobs:
        if job.rule not in lineage.rules:
            continue
        outputs = [str(path) for path in job.output if is_stamped(path)]
        if dag.needrun(job) or not outputs or not all(map(os.path.exists, outputs)):
            continue
        expected = lineage.of_job(job.wildcards, job.input, job.output)
        found = [_why_stale(read(path), expected, read, persistence, job) for path in outputs]
        if any(found):
            stale += outputs
            why.append(next(f"{path} {w}" for path, w in zip(outputs, found, strict=True) if w))
    for line in why[:_TOLD]:
        log.warning("%s; it is made again", line)
    if len(why) > _TOLD:
        log.warning("and so with %d more", len(why) - _TOLD)
    return stale


def _why_stale(record, expected: Expected, read: Callable, persistence, job) -> str:
    problem = difference(record, expected.words)
    known = {path: read(path) for path in expected.made}
    # an input without a record is stale itself, and what follows it is made again
    if problem or not all(known.values()):
        return problem
    if record.made_from != made_from(expected, known):
        return "was made from tables of other settings or code"
    noted = persistence.has_metadata(job) and len(known) < len(expected.inputs)
    if not noted and record.sources != _sources(expected, known):
        return "was made from other files"
    return ""
