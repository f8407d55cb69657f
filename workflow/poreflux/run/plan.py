"""The plan of a study: which sets, stages, tables, labels and models it has, and where they lie.

Rules, usage, crate and command line ask the plan; the reports, which lie below it, are given its
:meth:`StudyPlan.facts`. None of them reads the configuration to find out what a study consists of.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from poreflux.base.canonical import canonical_json
from poreflux.base.errors import ConfigError
from poreflux.base.stage_names import COMPARED, CROSSCHECK
from poreflux.data import features, labels
from poreflux.data.quantities import ACTIVATION, is_bin
from poreflux.learning.learners import get_learner
from poreflux.run import members
from poreflux.run.gases import Gases, stage_behind
from poreflux.run.stages import STAGES
from poreflux.store import package_version
from poreflux.synthesis.table import Schema

log = logging.getLogger(__name__)

SOURCE, TARGET, PREDICT = "source", "target", "predict"
# What describes a structure without simulation.
DESCRIPTORS = ("geometry", "energy", "percolation")
# Packages that all stages use.
EVERYWHERE = ("snakemake", "numpy", "scipy", "numba", "gemmi", "pandas", "pyarrow")


@dataclass(frozen=True)
class SetPlan:
    """A set of structures and the tables that it has.

    Attributes
    ----------
    name : str
    spec : dict
        Its block of the configuration.
    from_files : dict
        What the configuration says of each table that is read from files, by stage;
        ``structures`` among them where the set has no CIFs.
    stages : tuple of str
        The stages of which it has a table, computed or read: those that its block names, and
        those that features and labels of the learning need.
    """

    name: str
    spec: dict
    from_files: dict = field(default_factory=dict)
    stages: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, spec: dict, needed: Sequence[str] = ()) -> SetPlan:
        """The set that a block of the configuration describes, with the stages ``needed`` of it."""
        given = spec.get("tables") or {}
        from_files = {stage: table for stage, table in given.items() if table}
        has_structures = spec.get("cifs") or spec.get("package")
        computed = [*spec["stages"], *needed] if has_structures or not from_files else []
        read = [stage for stage in STAGES if stage in from_files]
        if from_files and not has_structures:
            paths = [path for table in from_files.values() for path in _listed(table["files"])]
            from_files["structures"] = {"files": list(dict.fromkeys(paths))}
        return cls(name, spec, from_files, tuple(dict.fromkeys([*computed, *read])))

    @property
    def computed(self) -> tuple[str, ...]:
        """The stages that are computed, not read from files."""
        return tuple(stage for stage in self.stages if stage not in self.from_files)

    @property
    def origin(self) -> dict:
        """Where its structures come from: its CIFs, or a package and its archive."""
        keys = ("cifs",) if self.spec.get("cifs") else ("package", "archive")
        return {key: self.spec[key] for key in keys if key in self.spec}

    @property
    def is_tables_alone(self) -> bool:
        """Whether the set is known by tables from files alone."""
        return "structures" in self.from_files

    @property
    def is_built(self) -> bool:
        """Whether its structures are assembled by PORMAKE, which the store keeps too."""
        return self.origin.get("package") == "pormake"

    def facts(self) -> dict:
        """What the reports say of the set, as plain data.

        Returns
        -------
        dict
            ``stages`` of which it has a table, those ``computed``, ``files`` (names of the files
            that a stage's table is read from, by stage), and whether it has ``tables_alone``.
        """
        return {
            "stages": list(self.stages),
            "computed": list(self.computed),
            "files": {
                stage: [Path(file).name for file in _listed(table["files"])]
                for stage, table in self.from_files.items()
                if stage in self.stages
            },
            "tables_alone": self.is_tables_alone,
        }


class StudyPlan:
    """What a study consists of.

    Parameters
    ----------
    config : StudyConfig
        Complete, see :func:`poreflux.run.config.complete`.
    folder : Path
        The workflow's folder: where files are looked for that are not in the working folder.

    Attributes
    ----------
    results, logs : str
        Folders of the study's results and logs, relative to the working folder.
    sets : dict of str to SetPlan
        With ``predict`` where there is something to predict.
    learns : bool
        Whether it has source and target, so that there is something to learn.
    learners, sizes, draws
        Names of learners, sizes of draws, and number of draws per size.
    """

    def __init__(self, config, folder: Path):
        self.config, self.folder = config, folder
        self.results = f"results/{config.study}"
        self.logs = f"logs/{config.study}"
        blocks = config.model_dump(mode="json")
        specs = dict(blocks["structures"])
        if config.predict.cifs:
            specs[PREDICT] = {"cifs": config.predict.cifs, "stages": list(DESCRIPTORS)}
        self.learners = list(config.learning.learners)
        self.sizes = list(config.learning.sizes)
        self.own_labels = blocks["labels"]
        self.gases = Gases(config)
        self._told = False
        self.learns = {SOURCE, TARGET} <= set(specs)
        self.sets = {
            name: SetPlan.of(name, spec, self._needed_of(name)) for name, spec in specs.items()
        }

    # --- checks -----------------------------------------------------------------------------

    def check(self) -> None:
        """Check what no single block of the configuration can tell, before any job.

        Files are looked for at once, for Snakemake takes results whose input cannot be named for
        finished.

        Raises
        ------
        ConfigError
            If a file is missing, a label unknown, or a learner cannot do what is asked of it.
        """
        _ = self.members, self.imported, self.label_files, self.synthesis_files, self.draws
        _ = self.target_label
        if self.config.synthesis:
            self._check_synthesis()
        self._check_crosschecks()
        if any(map(labels.is_isotherm, self.source_labels)):
            for learner in self.learners:
                if not get_learner(learner).transfers_isotherms:
                    raise ConfigError(
                        f"learning.source_labels: {learner} refits on the rows of one label and "
                        "cannot take isotherm"
                    )

    def _check_synthesis(self) -> None:
        schema = Schema.from_config(self.synthesis_settings["columns"])
        for name, case in self.synthesis_cases.items():
            unknown = sorted(set(case["rescale"]) - set(schema.numeric))
            if unknown:
                raise ConfigError(
                    f"synthesis.cases.{name}.rescale: {unknown[0]!r} is none of the numeric "
                    f"columns ({', '.join(schema.numeric)})"
                )

    def _check_crosschecks(self) -> None:
        for stage in self.crosschecks:
            asked = getattr(self.config, stage).crosscheck
            known = {name for shard in self.members[TARGET].values() for name in shard}
            unknown = [] if isinstance(asked, int) else sorted(set(asked) - known)
            if unknown:
                raise ConfigError(
                    f"{stage}.crosscheck: the set {TARGET} has no structure {unknown[0]!r}"
                )

    def check_study(self) -> None:
        """Name what a study lacks, even where results of an earlier one would hide it.

        Raises
        ------
        ConfigError
            If a set, a stage or a table is missing that features or labels need.
        """
        missing = {SOURCE, TARGET} - set(self.sets)
        if missing:
            raise ConfigError(
                f"a study needs the sets source and target; {' and '.join(sorted(missing))} not "
                "found under structures: in the configuration"
            )
        self._check_splits()
        for name in (SOURCE, TARGET):
            self.feature_tables(name)
            self.label_tables(name)
        self._tell_of_features_as_sources()

    # --- structures and their tables ----------------------------------------------------------

    @cached_property
    def members(self) -> dict[str, dict[int, dict[str, str]]]:
        """By set and shard: names of the structures and where each comes from."""
        return {
            name: members.by_shard(self._members_of(s), self.config.shards)
            for name, s in self.sets.items()
        }

    def _members_of(self, of_set: SetPlan) -> dict[str, str]:
        block = PREDICT if of_set.name == PREDICT else f"structures.{of_set.name}"
        try:
            return members.list_members(of_set.spec, self.folder)
        except ConfigError as error:
            raise ConfigError(f"{block}: {error}") from None

    def table(self, owner: str, name: str) -> str:
        """Path of a table: of a set (``target``, ``uptake``) or of the ``study``."""
        return f"{self.results}/{owner}/{name}.parquet"

    def shard_table(self, stage: str) -> str:
        """Path pattern of the table that one shard's job writes; wildcards ``set``, ``shard``."""
        return f"{self.results}/{{set}}/shards/{stage}/{{shard}}-of-{self.config.shards}.parquet"

    def shard_tables(self, stage: str, name: str) -> list[str]:
        """The tables of all shards of a set that hold at least one structure."""
        pattern = self.shard_table(stage)
        return [pattern.format(set=name, shard=shard) for shard in self.members[name]]

    def tables(self, stage: str, sets: Sequence[str] | None = None) -> list[str]:
        """The tables of a stage (or ``structures``), of every set or of some, that has it."""
        return [
            self.table(name, stage)
            for name, s in self.sets.items()
            if stage in ("structures", *s.stages) and (sets is None or name in sets)
        ]

    @cached_property
    def imported(self) -> dict[str, dict]:
        """What is read from files, by ``<set>/<stage>``, with the paths of the files."""
        found = {}
        for name, s in self.sets.items():
            for stage, table in s.from_files.items():
                paths = [self._input(file) for file in _listed(table["files"])]
                found[f"{name}/{stage}"] = table | {"files": paths}
        return found

    def _input(self, file: str) -> str:
        """Path of a file that jobs read.

        Raises
        ------
        ConfigError
            If there is none, or Snakemake would not take its path as it stands.
        """
        path = members.find_file(file, self.folder)
        if set("{}<>") & set(path):
            raise ConfigError(
                f"{path}: Snakemake takes braces and angle brackets in a path for names to fill "
                "in; rename the file or its folder"
            )
        return path

    def imported_for(self, table: str) -> dict[str, dict]:
        """What is read from files for a table, by stage: for ``structures`` all of the set's."""
        owner, _, stage = table.partition("/")
        return {
            other: self.imported[f"{owner}/{other}"]
            for other in self.sets[owner].from_files
            if other != "structures" and stage in ("structures", other)
        }

    def known_structures(self, table: str) -> str | list:
        """The structures of a set that has CIFs, for its tables from files; else nothing."""
        owner = table.partition("/")[0]
        return [] if self.sets[owner].is_tables_alone else self.table(owner, "structures")

    # --- features, labels, models -------------------------------------------------------------

    @cached_property
    def feature_columns(self) -> dict[str, tuple[str, ...]]:
        """What the features of all learners are made of: columns by stage, see
        :func:`poreflux.data.features.columns_of`."""
        found: dict[str, tuple[str, ...]] = {}
        for learner in self.learners:
            for stage, columns in _columns_of(learner).items():
                found[stage] = tuple(dict.fromkeys((*found.get(stage, ()), *columns)))
        return found

    @cached_property
    def feature_variants(self) -> dict[str, str]:
        """The tables that make features, by stage: of the target label's guest and temperature."""
        label = self._from_stages(self.target_label)
        guest, temperature_K = (label.guest, label.temperature_K) if label else (None, None)
        return {s: self.gases.table_name(s, guest, temperature_K) for s in self.feature_columns}

    def _tables_needed_of(self, name: str) -> list[str]:
        """The tables of stages that the learning needs of a set, for its features and labels."""
        is_learnt = self.learns and name in (SOURCE, TARGET)
        tables = [*self.feature_variants.values()] if is_learnt or name == PREDICT else []
        for label in self.labels_of(name) if is_learnt else ():
            if found := self._from_stages(label):
                tables += self.gases.made_of(self.gases.table_of(found))
        return list(dict.fromkeys(tables))

    def _needed_of(self, name: str) -> list[str]:
        """The stages of the study's own guest and temperature among these."""
        return [table for table in self._tables_needed_of(name) if table in STAGES]

    def feature_tables(self, name: str) -> list[str]:
        """The tables that make the features of a set, as the learners want them.

        In the order of the stages in :attr:`feature_columns`.

        Raises
        ------
        ConfigError
            If the set has no table of a stage, nor structures to compute it from; if the table
            lacks a column that the features need; or if the features would hold the label.
        """
        for stage, columns in self.feature_columns.items():
            table = self.feature_variants[stage]
            missing = stage not in self.sets[name].stages or table != stage
            if self.sets[name].is_tables_alone and missing:
                raise ConfigError(
                    f"the features of {', '.join(self.learners)} need the stage {table}, of which "
                    f"the set {name} has no table (structures.{name}.tables.{stage}), nor CIFs to "
                    "compute it from; choose other learning.learners or add one"
                )
            self._check_feature_columns(name, stage, columns)
        self._check_features_hold_no_label(name)
        return [self.table(name, table) for table in self.feature_variants.values()]

    def _check_feature_columns(self, name: str, stage: str, columns: tuple[str, ...]) -> None:
        is_own = self.feature_variants[stage] == stage
        from_file = self.sets[name].from_files.get(stage) if is_own else None
        if from_file:
            # what no features can do without is asked for where the file is read
            lacking = [c for c in columns if c not in from_file["columns"]]
            remedy = f"name them under structures.{name}.tables.{stage}.columns"
        else:
            withheld, remedy = _withheld(stage, self.stage_settings(stage))
            lacking = [c for c in columns if c in withheld]
        if lacking:
            learners = [n for n in self.learners if lacking[0] in _columns_of(n).get(stage, ())]
            raise ConfigError(
                f"the features of {', '.join(learners)} need the columns {', '.join(lacking[:3])}"
                f"{' ...' if lacking[3:] else ''} of the stage {stage}, which the table of the set "
                f"{name} lacks; {remedy}, or choose other learning.learners"
            )

    def _check_features_hold_no_label(self, name: str) -> None:
        """Nothing is learnt from itself: not the target's label, and no D from earlier D."""
        for label in self.labels_of(name) if name in (SOURCE, TARGET) else ():
            holding, whole = self._holders_of(label, name)
            if not holding or (name == SOURCE and not whole):
                continue
            what = (
                "both are computed by the stage diffusion, for the same guest at the same "
                "temperature. These features are for diffusivities from elsewhere, measured or "
                "published: read them from a file (labels)"
                if whole
                else "it is one of their features: learn another label"
            )
            raise ConfigError(
                f"{', '.join(holding)} would learn the label {label} of the set {name} from "
                f"itself: {what}, or choose other learning.learners"
            )

    def _holders_of(self, name: str, of_set: str) -> tuple[list[str], bool]:
        """Learners whose features hold a label, and whether they do by earlier diffusivities."""
        label = self._from_stages(name)
        if label is None:
            return [], False
        stage, columns = label.quantity.stage, label.quantity.told_by
        if self.feature_variants.get(stage) != self.gases.table_of(label):
            return [], False
        whole = stage == "diffusion"
        if whole and stage in self.sets[of_set].from_files:
            return [], False
        holding = [
            n
            for n in self.learners
            if stage in _columns_of(n)
            # the features have all bins of the histogram, which go without names
            and (whole or columns & set(_columns_of(n)[stage]) or any(map(is_bin, columns)))
        ]
        return holding, whole

    def _tell_of_features_as_sources(self) -> None:
        """A source model of a feature gives the feature back: nothing leaks, and nothing helps.

        Said where no learner can gain from a label.
        """
        if self._told:
            return
        self._told = True
        for label in self.labels_of(SOURCE):
            holding, _ = self._holders_of(label, SOURCE)
            if set(holding) == set(self.learners):
                log.warning(
                    "learning.source_labels: %s is a feature of %s: transfer from it can add "
                    "nothing",
                    label,
                    ", ".join(holding),
                )

    @cached_property
    def source_labels(self) -> list[str]:
        """What is learnt on the source, a model per label; ``isotherm`` may be among them."""
        return self._named(self.config.learning.source_labels, "source_labels")

    @cached_property
    def target_label(self) -> str:
        """What is learnt on the target.

        Raises
        ------
        ConfigError
            If it is not one number per structure.
        """
        asked = self.config.learning.target_label
        if asked not in self.own_labels and labels.is_of_many_pressures(asked):
            raise ConfigError(
                "learning.target_label: uptake at which pressure? Such as uptake_65bar"
            )
        return self._named([asked], "target_label")[0]

    def _named(self, names: Sequence[str], key: str) -> list[str]:
        """Labels by their shortest names, without the study's own guest and temperature."""
        asked = labels.requested_labels(
            names, self.config.learning.source_pressures_bar, self.own_labels
        )
        found = []
        for name in asked:
            label = self._from_stages(name)
            try:
                found.append(self.gases.short(label).name if label else name)
            except ConfigError as error:
                raise ConfigError(f"learning.{key}: {error}") from None
        return list(dict.fromkeys(found))

    def _from_stages(self, name: str) -> labels.Label | None:
        """The label of a stage that a name means; None for labels of one's own."""
        return None if name in self.own_labels else labels.parse(name)

    def labels_of(self, name: str) -> list[str]:
        """The labels of a set, each one number per structure."""
        if name == TARGET:
            return [self.target_label]
        return labels.scalar_labels(self.source_labels, self.config.learning.source_pressures_bar)

    @cached_property
    def label_files(self) -> dict[str, str]:
        """The files of the user's own labels."""
        return {name: self._input(spec["file"]) for name, spec in self.own_labels.items()}

    def label_tables(self, name: str) -> dict[str, str]:
        """What the labels of a set are made of: a stage's table or a file, by label.

        Raises
        ------
        ConfigError
            If the set cannot have the table of the stage, or not at that pressure.
        """
        found = {}
        for name_of_label in self.labels_of(name):
            if name_of_label in self.label_files:
                found[name_of_label] = self.label_files[name_of_label]
                continue
            label = self._from_stages(name_of_label)
            self._check_label(label, name)
            found[name_of_label] = self.table(name, self.gases.table_of(label))
        return found

    def _check_label(self, label: labels.Label, name: str) -> None:
        """Check that a set has, or can have, the table of a label."""
        stage, table = label.quantity.stage, self.gases.table_of(label)
        pressures = list(self.config.uptake.pressures_bar)
        if label.pressure_bar and not np.isclose(label.pressure_bar, pressures, rtol=1e-5).any():
            raise ConfigError(
                f"the label {label.name} is at none of uptake.pressures_bar "
                f"({canonical_json(pressures)}); add it there, or take it out of "
                "learning.source_pressures_bar (or the labels)"
            )
        if stage == ACTIVATION and len(self.config.temperatures_K) < 2:
            raise ConfigError(
                f"the label {label.name} needs diffusivities at two or more temperatures; name "
                "them under temperatures_K, such as [298, 400]"
            )
        for made in self.gases.made_of(table):
            if made in self.gases.impossible:
                raise ConfigError(f"the label {label.name}: {self.gases.impossible[made]}")
            if self.sets[name].is_tables_alone and made not in self.sets[name].stages:
                key = "source_labels" if name == SOURCE else "target_label"
                read = f"files of it (structures.{name}.tables.{made}), " if made in STAGES else ""
                raise ConfigError(
                    f"the label {label.name} needs the table {made}, which the set {name}, known "
                    f"by tables alone, does not have: give it {read}CIFs or a package, read the "
                    f"label from a file (labels), or choose another (learning.{key})"
                )
        self._check_label_column(label, name)

    def _check_label_column(self, label: labels.Label, name: str) -> None:
        """Check that the table of a label has its column."""
        stage, column = label.quantity.stage, label.quantity.column
        withheld, remedy = _withheld(stage, self.stage_settings(stage_behind(stage)))
        lacks = column in withheld
        from_file = self.sets[name].from_files.get(stage)
        if from_file and self.gases.table_of(label) == stage:
            lacks = ("h" if is_bin(column) else column) not in from_file["columns"]
            remedy = f"name it under structures.{name}.tables.{stage}.columns"
        if lacks:
            raise ConfigError(
                f"the label {label.name} needs the column {column} of the stage {stage}, which the "
                f"table of the set {name} lacks; {remedy}"
            )

    def label_settings(self, name: str) -> dict[str, dict]:
        """What the configuration says of the labels of a set, by label."""
        return {label: self.own_labels.get(label, {}) for label in self.labels_of(name)}

    def identities(self, name: str) -> str | list:
        """The structures of a set, where a file of labels has to be told who is who."""
        own = set(self.labels_of(name)) & set(self.label_files)
        return self.table(name, "structures") if own else []

    @cached_property
    def draws(self) -> dict[int, int]:
        """Number of draws per size.

        Raises
        ------
        ConfigError
            If ``learning.draws`` is a list with more or fewer numbers than there are sizes.
        """
        asked = self.config.learning.draws
        if isinstance(asked, int):
            return dict.fromkeys(self.sizes, asked)
        if len(asked) != len(self.sizes):
            raise ConfigError(
                f"learning.draws has {len(asked)} numbers for the {len(self.sizes)} "
                "learning.sizes; give one for each, or one number for all"
            )
        return dict(zip(self.sizes, asked, strict=True))

    def groups(self, name: str) -> str | list:
        """The near duplicates of a set, where its learning asks for them: else nothing.

        The target's always, for they tell what the scores are worth, and the source's where splits
        keep them together. A set that is known by tables alone has none.
        """
        of_set = self.sets.get(name)
        wanted = name == TARGET or self.config.learning.splits == "grouped"
        if of_set is None or of_set.is_tables_alone or not wanted:
            return []
        return self.table(name, "groups")

    def _check_splits(self) -> None:
        if self.config.learning.splits == "grouped" and not self.groups(TARGET):
            raise ConfigError(
                "learning.splits: grouped needs the structures of the set target, which is known "
                "by tables alone: give it CIFs or a package (structures.target), or set random"
            )

    @property
    def training(self) -> dict:
        """What every training job needs to know besides its data."""
        asked = self.config.learning
        return {
            "protocol": asked.protocol,
            "seed": self.config.seed,
            "device": asked.device,
            "splits": asked.splits,
        }

    def source_model(self, label: str, learner: str = "{learner}") -> str:
        """Path (or its pattern) of a source model."""
        return f"{self.results}/study/models/{learner}-source-{label}.npz"

    def source_models(self, learner: str = "{learner}") -> list[str]:
        """Paths of the source models of a learner."""
        return [self.source_model(label, learner) for label in self.source_labels]

    def target_models(self, learner: str = "{learner}", size: int | str = "{size}") -> str:
        """Path (or its pattern) of the models of all draws of a size."""
        return f"{self.results}/study/models/{learner}-{size}.npz"

    # --- settings of stages -------------------------------------------------------------------

    def stage_settings(self, stage: str):
        """The settings of a stage, the study's seed among them where it counts."""
        return self.gases.own[stage]

    def further_tables(self, name: str) -> list[str]:
        """The tables for further guests and temperatures that the learning needs of a set."""
        return [table for table in self._tables_needed_of(name) if table not in STAGES]

    def all_tables(self, stage: str) -> list[str]:
        """The tables of a stage: of every set that has it, for every guest and temperature.

        Those that a label alone names are of the sets that the label is of.
        """
        further = [
            self.table(name, variant.table)
            for variant in self.gases.variants.values()
            for name, s in self.sets.items()
            if variant.stage == stage != variant.table
            and (
                (variant.table in self.gases.listed and stage in s.computed)
                or variant.table in self.further_tables(name)
            )
        ]
        return self.tables(stage) + further

    def crosscheck_settings(self, stage: str):
        """The settings of the cross-check: the stage's own but for what is changed there."""
        try:
            return self.config.crosscheck_settings_of(stage)
        except ConfigError as error:
            raise ConfigError(f"{stage}.crosscheck_params: {error}") from None

    @property
    def crosschecks(self) -> list[str]:
        """The stages of which a few target structures are computed again by another code."""
        computed = self.sets[TARGET].computed if TARGET in self.sets else ()
        return [
            stage
            for stage in COMPARED
            if stage in computed and getattr(self.config, stage).crosscheck
        ]

    def crosscheck_threads(self, stage: str) -> int:
        """One for two structures: on two cores a cross-check then runs beside the learning."""
        asked = getattr(self.config, stage).crosscheck
        return -(-(asked if isinstance(asked, int) else len(asked)) // 2)

    def crosscheck_tables(self) -> list[str]:
        """The tables that compare our engines with other codes."""
        return [self.table(TARGET, f"crosscheck_{stage}") for stage in self.crosschecks]

    # --- synthesis ----------------------------------------------------------------------------

    @cached_property
    def synthesis_files(self) -> dict[str, str]:
        """The files of the synthesis study: literature, in_house, new_conditions."""
        given = self.config.synthesis
        names = ("literature", "in_house", "new_conditions") if given else ()
        found = {name: getattr(given, name) for name in names}
        return {name: self._input(file) for name, file in found.items() if file}

    @property
    def synthesis_settings(self) -> dict:
        """What the configuration says of learning from tables of synthesis conditions."""
        blocks = ("columns", "structure", "transfer", "augmentation", "validation")
        given = self.config.synthesis.model_dump(mode="json") if self.config.synthesis else {}
        return {name: given.get(name) for name in (*blocks, "interpretation")}

    @property
    def synthesis_cases(self) -> dict[str, dict]:
        """The cases of the synthesis study."""
        if not self.config.synthesis:
            return {}
        return self.config.synthesis.model_dump(mode="json")["cases"]

    # --- what a target makes ------------------------------------------------------------------

    def check_target(self, target: str) -> None:
        """Say of a target of the workflow, by its name or its file, what it lacks.

        Raises
        ------
        ConfigError
            If it cannot be made with this configuration.
        """
        makers = {
            "all": self.default_pages,
            "study": self.study_tables,
            "synthesis": self.synthesis_page,
            "predict": self.predictions,
            self.page(): self.study_tables,
            self.page("synthesis"): self.synthesis_page,
            self.predictions_csv: self.predictions,
        }
        if target in makers:
            makers[target]()

    def study_tables(self) -> list[str]:
        """The tables of the learning, if there is something to learn from and to transfer to."""
        self.check_study()
        return [self.table("study", n) for n in ("pretraining", "scores", "importance", "held_out")]

    def landscape_tables(self) -> list[str]:
        """The table behind the picture of one target structure's channels, where it has CIFs."""
        target = self.sets[TARGET]
        pictured = "diffusion" in target.stages and not target.is_tables_alone
        return [self.table("study", "landscape")] if pictured else []

    @property
    def predictions_csv(self) -> str:
        """Path of the predictions as CSV; a Parquet table with the same lies beside it."""
        return f"{self.results}/{PREDICT}/predictions.csv"

    def predictions(self) -> str:
        """The predictions, if there is anything to predict, and a study to learn from.

        Raises
        ------
        ConfigError
            If there is not.
        """
        if PREDICT not in self.sets:
            raise ConfigError(
                "predict.cifs is not set: name CIFs of your own, a folder or a pattern, such as "
                "--config 'predict={cifs: \"my/*.cif\"}'"
            )
        self.check_study()
        self.feature_tables(PREDICT)
        return self.predictions_csv

    def synthesis_page(self) -> str:
        """The page on synthesis conditions, if there are tables of them."""
        if not self.config.synthesis:
            raise ConfigError(
                "there are no tables of synthesis conditions: "
                "add --configfile config/synthesis.yaml or a file like it"
            )
        return self.page("synthesis")

    def page(self, name: str = "") -> str:
        """Path of a page of the report."""
        return "/".join(filter(None, (self.results, "report", name, "index.html")))

    def default_pages(self) -> list[str]:
        """What a run without a target makes: the pages that there is material for."""
        pages = []
        if self.learns:
            self.check_study()
            pages.append(self.page())
        elif self.sets:
            pages.append(self.page("descriptors"))
        if self.config.synthesis:
            pages.append(self.page("synthesis"))
        if not pages:
            raise ConfigError(
                "nothing to do: neither sets under structures: nor synthesis: in the configuration"
            )
        return pages

    # --- provenance ---------------------------------------------------------------------------

    def facts(self) -> dict:
        """What the report says of the study besides its tables, as plain data.

        Structures to predict for are no part of it: they come and go while the study stands.

        Returns
        -------
        dict
            ``study`` (name), ``config`` (complete configuration), ``engines`` (versions),
            ``sets`` (:meth:`SetPlan.facts` by name), ``learners``, ``source_labels`` and
            ``target_label``.
        """
        return self._facts(self.engines()) | {
            "sets": {name: s.facts() for name, s in self.sets.items() if name != PREDICT},
            "learners": self.learners,
            "source_labels": self.source_labels,
            "target_label": self.target_label,
        }

    def synthesis_facts(self) -> dict:
        """What the page on synthesis says besides its tables: ``study, config, engines``."""
        return self._facts({"synthesis": _packages("xgboost")})

    def _facts(self, engines: dict) -> dict:
        config = self.config.model_dump(mode="json")
        return {"study": self.config.study, "config": config, "engines": engines}

    def engines(self) -> dict:
        """Versions of the packages outside Poreflux, by stage, and of those that all stages use."""
        found: dict = {
            name: stage.engines(getattr(self.stage_settings(name), "engine", None))
            for name, stage in STAGES.items()
        }
        for name, compared in COMPARED.items():
            if getattr(self.config, name).crosscheck:
                found[name + CROSSCHECK] = STAGES[name].engines(compared.engine)
        found["learning"] = self.learning_packages()
        found |= {name: package_version(name) for name in EVERYWHERE}
        return found | {"python": platform.python_version()}

    def learning_packages(self) -> dict[str, str]:
        """Versions of the packages behind the learners."""
        return _packages(*self.learners)


def _columns_of(learner: str) -> dict[str, tuple[str, ...]]:
    return features.columns_of(get_learner(learner).feature_set)


def _withheld(stage: str, settings) -> tuple[tuple[str, ...], str]:
    """Columns that a stage does not compute with these settings, and how to make it."""
    if stage == "percolation" and not settings.barriers:
        return features.BARRIERS, "set percolation.barriers to true"
    if stage == "diffusion" and settings.engine != "harmonic":
        return features.EARLY_DIFFUSIVITIES, "set diffusion.engine to harmonic"
    return (), ""


def _packages(*learners: str) -> dict[str, str]:
    return {
        package: package_version(package)
        for learner in learners
        for package in get_learner(learner).packages
    }


def _listed(files: str | Sequence[str]) -> list[str]:
    return [files] if isinstance(files, str) else list(files)
