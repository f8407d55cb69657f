"""What a study's configuration may say: one class per block, for all of them :class:`StudyConfig`.

The stages' own blocks are their settings (``poreflux.<stage>.settings``); the rest stands here.
:mod:`poreflux.run.config` reads files into a :class:`StudyConfig`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    Strict,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from poreflux.base.errors import ConfigError
from poreflux.base.settings import (
    Angstrom,
    Bar,
    Distinct,
    Femtoseconds,
    Kelvin,
    Many,
    Megabytes,
    Mistake,
    Picoseconds,
    Seconds,
    Settings,
)
from poreflux.diffusion.settings import DiffusionParameters, DiffusionSettings
from poreflux.energy.settings import EnergySettings
from poreflux.fields.settings import GuestName
from poreflux.geometry.settings import GeometrySettings
from poreflux.learning.learners import algorithms
from poreflux.percolation.settings import PercolationSettings
from poreflux.uptake.settings import DEFAULT_PRESSURES_BAR, UptakeParameters, UptakeSettings

StageName = Literal["geometry", "energy", "percolation", "uptake", "diffusion"]
StageSettings = (
    GeometrySettings | EnergySettings | PercolationSettings | UptakeSettings | DiffusionSettings
)
# What each stage computes with.
STAGE_SETTINGS = {
    "geometry": GeometrySettings,
    "energy": EnergySettings,
    "percolation": PercolationSettings,
    "uptake": UptakeSettings,
    "diffusion": DiffusionSettings,
}
# The keys that the first of the study's guests and temperatures stands for in every stage's block.
OF_THE_STUDY = {"guests": "guest", "temperatures_K": "temperature_K"}
Scale = Literal["linear", "log"]
# Sets that a study has unless it says that it does without (null).
STUDY_SETS = ("source", "target")
SCALE = "log: equal ratios are equal steps (of distances, of interpolation, of learning the target)"


# A name that becomes a folder: no separators, and nothing that a shell or a glob takes for more.
FOLDER = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
FolderName = Annotated[str, Field(pattern=FOLDER, max_length=100)]
# Folders of results that are not sets, see poreflux.run.plan.
RESERVED = ("predict", "report", "study", "synthesis")


def _set_name(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"is reserved ({', '.join(RESERVED)}); choose another")
    return name


SetName = Annotated[FolderName, AfterValidator(_set_name)]
Paths = Annotated[str, Field(min_length=1)] | Annotated[Many[str], Field(min_length=1)]


class TableFiles(Settings):
    """CSV or Parquet files with a stage's columns under other names."""

    files: Paths = Field(description="one below the other; $VARIABLES are filled in")
    name: str = Field("name", description="their column of structure names")
    columns: dict[str, str | Many[str]] = Field(
        description="our column to theirs; h: their columns of the energy histogram in order of "
        "energy; uptake_cm3stp_cm3: with <pressure> (in bar) in it"
    )
    factors: dict[str, float] = Field(
        {}, description="our column to the number that brings theirs to our unit"
    )

    @field_validator("factors")
    @classmethod
    def _factors_keep_the_numbers(cls, factors):
        if 0 in factors.values():
            raise ValueError("must not be 0: all numbers would be")
        return factors


class SetTables(Settings):
    """Tables of a set that are read from files, by stage; null: computed."""

    geometry: TableFiles | None = Field(None, description="the table of pore descriptors")
    energy: TableFiles | None = Field(None, description="the table of energy histograms")
    percolation: TableFiles | None = Field(None, description="the table of percolation energies")
    uptake: TableFiles | None = Field(None, description="the table of uptakes")
    diffusion: TableFiles | None = Field(None, description="the table of diffusivities")

    @model_validator(mode="after")
    def _columns_make_a_table(self):
        given = {stage: getattr(self, stage) for stage in STAGE_SETTINGS if getattr(self, stage)}
        if given:
            # the configuration alone needs no pandas
            from poreflux.data.from_files import check_columns
        for stage, table in given.items():
            try:
                check_columns(stage, table.columns)
            except ConfigError as error:
                raise Mistake(f"{stage}.columns", str(error), table.columns) from None
        return self


class StructureSet(Settings):
    """Where a set of structures comes from: cifs, package with names, or tables alone."""

    cifs: Paths | None = Field(
        None, description="a folder, a glob or a list of them; wins over package"
    )
    package: Literal["core-mof", "pormake"] | None = Field(
        None, description="package that holds or builds the structures"
    )
    archive: Literal["2019-ASR", "2019-FSR", "2014"] = Field(
        "2019-ASR", description="archive of core-mof"
    )
    names: str | Many[str] | None = Field(
        None,
        description="names in the package: a list, a file with one per line, a list of the "
        "library, or 'all' (core-mof)",
    )
    first: int | None = Field(None, ge=1, description="take the first so many of names")
    limit: int | None = Field(
        None, ge=1, description="take the first so many structures, whatever the source"
    )
    stages: Distinct[StageName] = Field(
        ("geometry", "energy", "percolation", "uptake", "diffusion"),
        description="stages that the set passes through, beside those that features and labels of "
        "the learning need of source and target",
    )
    tables: SetTables = Field(
        default_factory=SetTables,
        description="stages whose tables are read from files instead of being computed; a set may "
        "have nothing else",
    )
    sample: int | None = Field(
        None,
        ge=1,
        description="take so many of names at random, the same for the same names; the first so "
        "many are not a fair share of a sorted list",
    )


class StructureChecks(Settings):
    """How CIFs are read."""

    symmetry: Literal["expand", "as-listed"] = Field(
        "expand", description="apply a CIF's symmetry operators, or take its listed atoms alone"
    )
    min_distance_A: Angstrom = Field(
        0.5,
        ge=0,
        le=3,
        description="two atoms closer than this give the warning overlapping_atoms, 0: none",
    )
    # the keys of poreflux.structures.checks.REMEDIES
    fail_on: Distinct[
        Literal[
            "repaired",
            "several_structures",
            "symmetry",
            "merged",
            "disorder",
            "dummy_atoms",
            "charged_labels",
            "deuterium",
            "labels",
            "coordinates",
            "contradiction",
            "density",
            "overlapping_atoms",
            "close_contacts",
            "missing_hydrogens",
            "lone_molecules",
            "no_framework",
            "no_metal",
            "unchecked",
        ]
    ] = Field(
        (),
        description="warnings that fail a structure, e.g. [overlapping_atoms, missing_hydrogens]",
    )


class Limits(Settings):
    """Limits of one structure in one stage."""

    seconds: Seconds = Field(
        3600.0,
        gt=0,
        allow_inf_nan=True,
        description="wall-clock time after which a structure is stopped and recorded",
    )
    memory_mb: Megabytes = Field(
        8192.0, gt=0, allow_inf_nan=True, description="address space that a structure may take"
    )
    failed_share: float = Field(
        1.0,
        ge=0,
        le=1,
        description="share of failed structures in a set above which the run stops",
    )


class UptakeCrosscheck(Settings):
    """What the repetition with RASPA3 does differently."""

    pressures_bar: Many[Annotated[Bar, Field(gt=0)]] = Field(
        (1.0, 10.0, 65.0), min_length=1, description="pressures to repeat"
    )
    production_steps: int = Field(
        20_000, ge=1000, description="Monte Carlo steps of RASPA3 at each pressure, about"
    )


class UptakeBlock(UptakeParameters):
    """Uptake by grand canonical Monte Carlo, and its repetition with RASPA3."""

    crosscheck: Annotated[int, Field(ge=0)] | Many[str] = Field(
        2,
        description="target structures to repeat with RASPA3: names, or how many of them",
    )
    crosscheck_params: UptakeCrosscheck = Field(
        default_factory=UptakeCrosscheck, description="what the cross-check does differently"
    )


class DiffusionCrosscheck(Settings):
    """What the repetition with LAMMPS does differently."""

    timestep_fs: Femtoseconds = Field(2.0, gt=0, le=5, description="time step")
    n_molecules: int = Field(60, ge=2, description="molecules")
    n_groups: int = Field(
        20, ge=2, description="groups of molecules whose scatter gives the standard error"
    )
    equilibration_ps: Picoseconds = Field(10.0, ge=0, description="before any statistics")
    production_ps: Picoseconds = Field(100.0, gt=0, description="of the trajectory")
    sample_ps: Picoseconds = Field(0.5, gt=0, description="between recorded positions")
    extend: Literal["auto", "never"] = Field(
        "never", description="whether to lengthen the trajectory as diffusion.extend does"
    )
    rare_events: Literal["tst", "bound"] = Field("bound", description="as diffusion.rare_events")


class DiffusionBlock(DiffusionParameters):
    """Self-diffusivity at infinite dilution by dynamics, and its repetition with LAMMPS."""

    crosscheck: Annotated[int, Field(ge=0)] | Many[str] = Field(
        2,
        description="target structures to repeat with LAMMPS: names, or how many of them",
    )
    crosscheck_params: DiffusionCrosscheck = Field(
        default_factory=DiffusionCrosscheck, description="what the cross-check does differently"
    )


# Labels of our own, whose names no others can have.
OWN_LABELS = "uptake|isotherm|isotherm_.*|henry|diffusivity|uptake_.*bar"


def _label_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise ValueError("must be a name of letters, digits, _ and -")
    if re.fullmatch(OWN_LABELS, name):
        raise ValueError("is a label of our own; choose another name")
    return name


LabelName = Annotated[
    str,
    AfterValidator(_label_name),
    Field(
        json_schema_extra={
            "pattern": "^[A-Za-z][A-Za-z0-9_-]*$",
            "not": {"pattern": f"^({OWN_LABELS})$"},
        }
    ),
]


class LabelFile(Settings):
    """A column of a CSV or Parquet file."""

    file: str = Field(description="a row per structure; $VARIABLES are filled in")
    column: str = Field(
        description="the column of numbers; empty fields are structures without a label"
    )
    key: str = Field(
        "name",
        description="the column that says which structure: its name (that of the CIF without "
        ".cif) or, if called content_hash, that",
    )
    factor: float = Field(1.0, description="the numbers are multiplied by it, not 0")
    transform: Literal["none", "log10"] = Field(
        "none", description="what is learnt: the number or its logarithm"
    )
    unit: str = Field("", description="of what is learnt, for tables; nothing is converted")

    @model_validator(mode="after")
    def _factor_keeps_the_numbers(self):
        if self.factor == 0:
            raise Mistake("factor", "must not be 0: all numbers would be", self.factor)
        if self.factor < 0 and self.transform == "log10":
            rule = "must be above 0 with transform log10, or there is no logarithm"
            raise Mistake("factor", rule, self.factor)
        return self


FEATURE_SETS = ("log55", "percolation", "mobility", "mobility-no-barriers", "harmonic", "all")


def _learner(name: str) -> str:
    algorithm, plus, features = name.partition("+")
    if algorithm not in algorithms() or (plus and features not in FEATURE_SETS):
        raise ValueError(
            f"must be one of {', '.join(algorithms())}, alone or with a plus sign and one of "
            f"{', '.join(FEATURE_SETS)}"
        )
    return name


Learner = Annotated[
    str,
    AfterValidator(_learner),
    Field(
        json_schema_extra={
            "pattern": rf"^({'|'.join(algorithms())})(\+({'|'.join(FEATURE_SETS)}))?$"
        }
    ),
]


class Learning(Settings):
    """Pretraining and fine-tuning."""

    learners: Distinct[Learner] = Field(
        ("mlp", "xgboost", "gp-line+mobility"),
        min_length=1,
        description="learners to train, each with the features after a plus sign, or the "
        "published 55: mlp (the network), xgboost (boosted trees with the source model as a "
        "feature), xgboost-weighted (boosted trees refitted on source and weighted target rows), "
        "gp (a Gaussian process with the source model as a feature), gp-joint (a Gaussian process "
        "of source and target rows together), gp-line (a line in the best physical estimates, "
        "and a Gaussian process on the rest), ensemble (gp, xgboost, weighed by "
        "nested validation); log55 (the 55 in logarithms), percolation, mobility (percolation, "
        "the mobility on the energy landscape and where currents dissipate in it), "
        "mobility-no-barriers (the same without percolation energies), harmonic (these and D of "
        "diffusion.engine harmonic at 0.5, 1 and 2 ps, for diffusivities that are read from "
        "files), all",
    )
    protocol: Literal["fast", "paper", "released"] = Field(
        "fast",
        description="training protocol of the MLP: fast (ours), paper (the published text), "
        "released (the published code)",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the MLP is trained")
    source_labels: Distinct[str] = Field(
        ("uptake",),
        min_length=1,
        description="what source models learn, a model each: uptake (at every pressure of "
        "source_pressures_bar), uptake_<P>bar, isotherm (all of these together: multi-task), "
        "henry, diffusivity, activation_energy, any column of a stage's table (mobility, "
        "barrier_1, heat, pld), or names under labels; of another guest or temperature: "
        "diffusivity_N2, diffusivity_CH4_400K, uptake_65bar_N2, isotherm_N2",
    )
    target_label: str = Field(
        "diffusivity",
        description="what is learnt on the target: one of these; the features are those of its "
        "guest at its temperature, and must not hold it",
    )
    source_pressures_bar: Distinct[Annotated[Bar, Field(gt=0)]] = Field(
        DEFAULT_PRESSURES_BAR,
        min_length=1,
        description="pressures of the uptakes to pretrain on, each among uptake.pressures_bar",
    )
    sizes: Distinct[Annotated[int, Field(ge=10)]] = Field(
        (40, 80), min_length=1, description="numbers of labelled target structures in a draw"
    )
    draws: (
        Annotated[int, Field(ge=1)]
        | Annotated[Many[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    ) = Field(
        20,
        description="random draws of each size: one number for all, or a list with one for each "
        "of sizes",
    )
    same_members: bool = Field(
        False,
        description="draw structures once and only split them anew, as the published code does; "
        "false: true random draws",
    )
    splits: Literal["random", "grouped"] = Field(
        "random",
        description="how structures are drawn and split: random, or grouped: near duplicates (the "
        "same framework with other solvent, protons or strain) are all in one part of a draw or "
        "all outside it",
    )
    pfi_repeats: int = Field(
        10, ge=1, description="shuffles of each feature in the permutation importance"
    )


class Predict(Settings):
    """Diffusivities of CIFs of your own."""

    cifs: Paths | None = Field(None, description="a folder, a glob or a list of them")


def _checked_range(column):
    """A column whose range is one, and leaves room on its scale."""
    low, high = column.min, column.max
    if low is not None and high is not None and not low < high:
        raise Mistake("max", f"must be above min ({low:g})", high)
    if column.scale == "log" and high is not None and high <= 0:
        raise Mistake("max", "must be above 0 on a logarithmic scale", high)
    return column


class Column(Settings):
    """A numeric column."""

    unit: str = Field("", description="for axes and tables; nothing is converted")
    scale: Scale = Field("linear", description=SCALE)
    min: float | None = Field(None, description="lowest value allowed")
    max: float | None = Field(None, description="highest value allowed")

    @model_validator(mode="after")
    def _range_rises(self):
        return _checked_range(self)


class TargetColumn(Settings):
    """The column to predict."""

    name: str = Field(description="name of the column")
    unit: str = Field("", description="for axes and tables; nothing is converted")
    scale: Scale = Field("log", description=SCALE)
    min: float | None = Field(None, description="lowest value allowed")
    max: float | None = Field(None, description="highest value allowed")

    @model_validator(mode="after")
    def _range_rises(self):
        return _checked_range(self)


class SynthesisColumns(Settings):
    """What the columns of both tables mean; others are ignored."""

    target: TargetColumn = Field(description="the column to predict")
    group: str = Field(
        description="column of the article or laboratory; cross-validation never splits one"
    )
    numeric: dict[str, Column] = Field(description="numeric columns to learn from, by name")
    categorical: Distinct[str] = Field((), description="columns of categories to learn from")
    keep: dict[str, Annotated[Many[str | float | bool], Field(min_length=1)]] = Field(
        {},
        description="rows to keep: the values that a column must have, e.g. {clean: [1]}",
    )
    missing: Many[str] = Field(
        (), description="texts that stand for a missing value, besides an empty cell"
    )


class SynthesisCase(Settings):
    """A case: who takes the in-house role."""

    group: str | None = Field(
        None,
        description="a group of the literature in the in-house role; null: the in-house table",
    )
    rescale: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {},
        description="factors on numeric columns of the in-house rows: another reading of a "
        "doubtful unit; new_conditions are taken in the unit of columns",
    )


class SynthesisStructure(Settings):
    """Structure of the boosted trees, chosen by cross-validation."""

    max_depths: Distinct[Annotated[int, Field(ge=1, le=12)]] = Field(
        (2, 3, 4), min_length=1, description="depths to choose from"
    )
    max_trees: int = Field(300, ge=1, le=10_000, description="most trees to choose")
    learning_rate: float = Field(0.1, gt=0, le=1, description="share of each tree that is added")
    tuning_folds: int = Field(
        5, ge=2, description="folds of that cross-validation, grouped by article"
    )
    tuning_repeats: int = Field(2, ge=1, description="times that it is repeated")


class SynthesisTransfer(Settings):
    """Weighted refitting and continued boosting."""

    weights: Distinct[Annotated[float, Field(gt=0)]] = Field(
        (1.0, 3.0, 10.0, 30.0, 100.0, 300.0),
        min_length=1,
        description="weights of an in-house row relative to a literature row, to choose from",
    )
    continued_trees: int = Field(
        100, ge=1, le=10_000, description="most trees added to the literature's booster"
    )
    inner_folds: int = Field(
        5, ge=2, description="folds of the inner loop that chooses, over in-house conditions"
    )


class SynthesisAugmentation(Settings):
    """Synthetic rows interpolated between in-house rows."""

    per_row: int = Field(2, ge=1, le=1000, description="synthetic rows made from each row")
    neighbours: int = Field(
        3, ge=1, description="nearest neighbours among which the partner is drawn"
    )
    mixing: Annotated[
        tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]],
        Strict(False),
    ] = Field((0.2, 0.8), description="range of the partner's share")

    @model_validator(mode="after")
    def _range_rises(self):
        low, high = self.mixing
        if low > high:
            raise Mistake("mixing", "must give the lower share first", (low, high))
        return self


class SynthesisValidation(Settings):
    """Held-out in-house conditions."""

    folds: int = Field(5, ge=2, description="folds of the repeated K-fold scheme")
    repeats: int = Field(10, ge=1, description="its repeats")
    resamples: int = Field(2000, ge=100, description="bootstrap samples of the intervals")


class SynthesisInterpretation(Settings):
    """Importance of the columns."""

    repeats: int = Field(20, ge=1, description="shuffles of each column")


class Synthesis(Settings):
    """Transfer from a literature table of synthesis conditions to an in-house table."""

    literature: str = Field(
        description="CSV or Parquet table, one experiment per row; $VARIABLES are filled in, a "
        "relative path is looked for in the working folder, then in the workflow's"
    )
    in_house: str = Field(description="the same of one's own experiments")
    new_conditions: str | None = Field(
        None, description="table of conditions to predict, without target and group; null: none"
    )
    columns: SynthesisColumns = Field(
        description="what the columns of both tables mean; others are ignored"
    )
    cases: Annotated[
        dict[FolderName, SynthesisCase],
        Field(min_length=1),
    ] = Field(
        default_factory=lambda: {"in_house": SynthesisCase()},
        description="who takes the in-house role, by name; if not given, in_house: the in-house "
        "table",
    )
    structure: SynthesisStructure = Field(
        default_factory=SynthesisStructure,
        description="structure of the boosted trees, chosen by cross-validation",
    )
    transfer: SynthesisTransfer = Field(
        default_factory=SynthesisTransfer,
        description="weighted refitting and continued boosting",
    )
    augmentation: SynthesisAugmentation = Field(
        default_factory=SynthesisAugmentation,
        description="synthetic rows interpolated between in-house rows",
    )
    validation: SynthesisValidation = Field(
        default_factory=SynthesisValidation, description="held-out in-house conditions"
    )
    interpretation: SynthesisInterpretation = Field(
        default_factory=SynthesisInterpretation, description="importance of the columns"
    )


class StudyConfig(Settings):
    """The whole configuration of a study."""

    study: str = Field(
        "default",
        pattern=FOLDER,
        max_length=100,
        description="name of the folder under results/ and logs/",
    )
    seed: int = Field(
        1,
        ge=0,
        description="seed of everything random; streams derive from it and from content hashes",
    )
    shards: int = Field(
        4,
        ge=1,
        le=100_000,
        description="Snakemake jobs per stage and set; never changes a result",
    )
    threads_per_shard: int = Field(1, ge=1, description="processes in one shard job")
    store: str | None = Field(
        None,
        description="folder of the content store; null: the variable POREFLUX_STORE, else "
        ".poreflux/store",
    )
    guests: Distinct[GuestName] = Field(
        (),
        description="gases of the study: the first is that of every stage and of its tables; each "
        "further one has tables of its own (diffusion_N2), which the targets of stages make; a "
        "gas that labels name need not stand here; []: each stage's own key guest",
    )
    temperatures_K: Distinct[Annotated[Kelvin, Field(gt=0)]] = Field(
        (),
        description="temperatures of the study, likewise (diffusion_CH4_400K); activation energies "
        "are over all that stand here; []: each stage's own key temperature_K",
    )
    structures: dict[SetName, StructureSet] = Field(
        default_factory=lambda: {name: StructureSet() for name in STUDY_SETS},
        description="sets of structures by name; 'source' and 'target' make the study; null "
        "leaves a set out",
    )
    structure_checks: StructureChecks = Field(
        default_factory=StructureChecks, description="how CIFs are read"
    )
    limits: Limits = Field(
        default_factory=Limits, description="limits of one structure in one stage"
    )
    geometry: GeometrySettings = Field(
        default_factory=GeometrySettings, description="pore descriptors (Zeo++)"
    )
    energy: EnergySettings = Field(
        default_factory=EnergySettings, description="histogram of the guest's energy"
    )
    percolation: PercolationSettings = Field(
        default_factory=PercolationSettings,
        description="energies at which the guest's pores run through the crystal, Henry "
        "coefficient, heat of adsorption",
    )
    uptake: UptakeBlock = Field(
        default_factory=UptakeBlock, description="uptake by grand canonical Monte Carlo"
    )
    diffusion: DiffusionBlock = Field(
        default_factory=DiffusionBlock,
        description="self-diffusivity by molecular dynamics at infinite dilution",
    )
    labels: dict[LabelName, LabelFile] = Field(
        {},
        description="labels of your own, by name: columns of CSV files, to transfer from or to",
    )
    learning: Learning = Field(default_factory=Learning, description="pretraining and fine-tuning")
    predict: Predict = Field(
        default_factory=Predict, description="diffusivities of CIFs of your own"
    )
    synthesis: Synthesis | None = Field(
        None,
        description="transfer from a literature table of synthesis conditions to an in-house "
        "table; null: none",
    )

    @field_validator("structures", mode="before")
    @classmethod
    def _without_left_out_sets(cls, sets):
        """Sets given as null are left out; the study's own are there unless they are."""
        if not isinstance(sets, dict):
            return sets
        # "null": from Snakemake's command line
        kept = {name: each for name, each in sets.items() if each not in (None, "null")}
        return kept | {name: {} for name in STUDY_SETS if name not in sets}

    @model_validator(mode="before")
    @classmethod
    def _first_of_the_study(cls, given):
        """The first guest and temperature are those of every stage; a block may repeat them."""
        if not isinstance(given, Mapping):
            return given
        given = dict(given)
        for many, key in OF_THE_STUDY.items():
            try:
                of_key = TypeAdapter(cls.model_fields[many].annotation)
                values = of_key.validate_python(given.get(many, ()))
            except ValidationError:
                continue  # said of its own key
            if not values:
                continue
            for stage, kind in STAGE_SETTINGS.items():
                block = given.get(stage, {})
                if key not in kind.model_fields or not isinstance(block, Mapping):
                    continue
                if block.get(key, values[0]) != values[0]:
                    rule = f"must be {values[0]!r}, the first of {many}, or be left out"
                    raise Mistake(f"{stage}.{key}", rule, block[key])
                given[stage] = {**block, key: values[0]}
        return given

    def settings_of(self, stage: StageName) -> StageSettings:
        """What a stage computes with: its block without the cross-check, and the study's seed."""
        block, kind = getattr(self, stage), STAGE_SETTINGS[stage]
        values = {name: getattr(block, name) for name in kind.model_fields if name != "seed"}
        return kind(**values, **({"seed": self.seed} if "seed" in kind.model_fields else {}))

    def crosscheck_settings_of(self, stage: Literal["uptake", "diffusion"]) -> StageSettings:
        """What the reference code computes with: the stage's own settings but for the changes.

        Raises
        ------
        ConfigError
            If the two do not go together.
        """
        block = getattr(self, stage)
        engine = {"uptake": "raspa3", "diffusion": "lammps"}[stage]
        return self.settings_of(stage).changed(**dict(block.crosscheck_params), engine=engine)
