"""What the sections of the report draw on: the study's tables, and why one is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from poreflux import __version__
from poreflux.base.files import write_atomically
from poreflux.base.stage_names import STAGES
from poreflux.data.features import GEOMETRY_COLUMNS
from poreflux.data.labels import DIFFUSIVITY, UPTAKE
from poreflux.report.figures import style
from poreflux.report.figures.interactive import Catalogue, library
from poreflux.report.numbers import counted, listed
from poreflux.report.quantities import Quantity, quantity
from poreflux.report.rendering import Image, Picture, Section, document
from poreflux.report.statistics import finite, usable

# What has a table per set: reading the structures, then the stages.
TABLES = ("structures", *STAGES)
ENGINE_NAMES = {
    "grid": "grid engine",
    "harmonic": "paths in harmonic coordinates",
    "raspa3": "RASPA3",
    "lammps": "LAMMPS",
    "fast": "Voronoi network over Zeo++'s spheres",
    "zeopp": "Zeo++",
}
# A figure of full width fills the column on a wide screen: 55.5 rem of 16 pixels.
PIXELS_PER_INCH = 55.5 * 16 / style.WIDTH
_GEOMETRY_WORDS = (
    "largest cavity diameter",
    "pore-limiting diameter",
    "surface area (volume)",
    "surface area (mass)",
    "void fraction",
)
GEOMETRY_LABELS = dict(zip(GEOMETRY_COLUMNS, _GEOMETRY_WORDS, strict=True))


@dataclass
class Study:
    """The material of the report.

    Attributes
    ----------
    tables : dict of str to DataFrame
        By ``<set>/<stage>`` or ``study/<table>``.
    facts : dict
        ``study`` (name), ``config`` (complete configuration), ``engines`` (versions); by set under
        ``sets`` its ``stages``, those ``computed``, the ``files`` of those that are read, and
        whether it has ``tables_alone``; ``learners``, ``source_labels``, ``target_label``;
        ``made``: ``date`` and ``commit`` of the report.
    folder : Path
        Of the figures.
    drawn : set of str
        Names of the figures drawn so far.
    plots : dict of str to dict
        Interactive figures by name, see :mod:`poreflux.report.figures.interactive`.
    catalogue : Catalogue or None
        The table of all structures, which these draw on.
    """

    tables: dict[str, pd.DataFrame]
    facts: dict
    folder: Path
    drawn: set = field(default_factory=set)
    plots: dict = field(default_factory=dict)
    catalogue: Catalogue | None = None

    @property
    def config(self) -> dict:
        """The configuration, empty if it was not given."""
        return self.facts.get("config") or {}

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.facts.get("study") or self.config.get("study") or "unnamed")

    def setting(self, *path: str, default=None):
        """A value of the configuration by its keys, or ``default`` where it is not given."""
        node = self.config
        for key in path:
            if not isinstance(node, dict) or key not in node:
                return default
            node = node[key]
        return node

    @property
    def sets(self) -> list[str]:
        """The sets of structures: source, target, then any other that has a table, by name."""
        known = {key.split("/")[0] for key in self.tables if key.split("/")[-1] in TABLES}
        # these two make the study: where one lacks every table, the page says why
        known |= {"source", "target"} & set(self.facts.get("sets", ()))
        return [n for n in ("source", "target") if n in known] + sorted(
            known - {"source", "target"}
        )

    def files(self, name: str, stage: str) -> list[str]:
        """Names of the files that a set's table of a stage is read from; none if it is computed."""
        return self._planned(name).get("files", {}).get(stage, [])

    def computes(self, name: str, stage: str) -> bool:
        """Whether a stage of a set is computed, as far as the facts tell."""
        return stage in self._planned(name).get("computed", TABLES)

    def _planned(self, name: str) -> dict:
        """The facts of a set, empty if they were not given."""
        return self.facts.get("sets", {}).get(name, {})

    @property
    def learners(self) -> list[str]:
        """Names of the study's learners, the main one first."""
        return self.facts.get("learners") or ["mlp"]

    @property
    def source_labels(self) -> list[str]:
        """What is learnt on the source."""
        return self.facts.get("source_labels") or [UPTAKE]

    @property
    def target_label(self) -> str:
        """The label that is learnt on the target, as the scores or the facts tell."""
        scores = self.tables.get("study/scores")
        labels = () if scores is None or "label" not in scores else scores["label"].dropna()
        if len(labels):
            return str(labels.iloc[0])
        return str(self.facts.get("target_label") or DIFFUSIVITY)

    def quantity(self, label: str) -> Quantity:
        """A label as the page names it, with its units."""
        return quantity(label, self.setting("labels") or {})

    def rows(self, key: str, *columns: str) -> pd.DataFrame:
        """The ``ok`` rows of a table whose ``columns`` are all finite (maybe none)."""
        table = usable(self.tables.get(key), *columns)
        return finite(table, *columns) if columns else table

    def by_set(self, stage: str, *columns: str) -> dict[str, pd.DataFrame]:
        """:meth:`rows` of a stage by set, of the sets that have any."""
        found = {name: self.rows(f"{name}/{stage}", *columns) for name in self.sets}
        return {name: table for name, table in found.items() if len(table)}

    def why(self, key: str) -> str:
        """In words: why a table has nothing to show."""
        owner, _, stage = key.rpartition("/")
        table = self.tables.get(key)
        if table is None:
            return self._why_absent(owner, stage)
        if table.empty:
            return f"the table {key} is empty"
        if "status" in table.columns and not (table["status"] == "ok").any():
            n = table["name"].nunique() if "name" in table.columns else len(table)
            reason = table["reason"].iloc[0] if "reason" in table.columns else ""
            return f"all {counted(n, 'structure')} of {key} failed; first reason: {reason}"
        return f"the table {key} holds no finite numbers of it"

    def _why_absent(self, owner: str, stage: str) -> str:
        sets = self.facts.get("sets")
        if stage.startswith("crosscheck_"):
            checked = stage.removeprefix("crosscheck_")
            if self.files(owner, checked):
                return f"{owner}/{checked} is read from {listed(self.files(owner, checked))}"
            if self.setting(checked, "crosscheck", default=None) in (0, []):
                return f"the cross-check is switched off ({checked}.crosscheck)"
        elif stage in TABLES and sets is not None:
            if owner not in sets:
                return f"the study has no set {owner}"
            passes = ("structures", *sets[owner]["stages"])
            if stage not in passes and not sets[owner]["tables_alone"]:
                return f"{owner} does not pass through {stage} (structures.{owner}.stages)"
        return f"there is no table {owner}/{stage}" if owner else f"there is no table {stage}"

    def gaps(self, sets: Iterable[str], stage: str) -> list[dict[str, str]]:
        """Of source and target those that are not among ``sets``: ``set``, and ``why`` not."""
        gone = [n for n in ("source", "target") if n in self.sets and n not in sets]
        return [{"set": n, "why": self.why(f"{n}/{stage}")} for n in gone]

    def why_nowhere(self, stage: str) -> str:
        """In words: why no set has results of a stage."""
        return "; ".join(self.why(f"{name}/{stage}") for name in self.sets) or "there are no sets"

    def draw(self, name: str, drawing: Figure, interactive: dict | None = None) -> Picture:
        """Save a figure.

        Parameters
        ----------
        name : str
            File name without extension.
        drawing : Figure
            Drawn in the style of :mod:`poreflux.report.figures.style`.
        interactive : dict, optional
            What the page draws in its place, see :mod:`poreflux.report.figures.interactive`.

        Returns
        -------
        Picture
            For the macro ``figure`` of the templates, which adds caption and alternative.
        """
        wide, narrow = style.save(drawing, self.folder, name)
        self.drawn.add(name)
        if interactive:
            self.plots[name] = interactive
        return Picture(name, _image(wide), _image(narrow), interactive is not None)

    def write(self, subtitle: str, lead: Iterable[Markup], sections: Sequence[Section]) -> Path:
        """Write the page beside the folder of its figures and remove figures it does not have.

        Parameters
        ----------
        subtitle : str
        lead : iterable of Markup
            What stands before the list of sections.
        sections : sequence of Section
        """
        made = self.facts.get("made") or {}
        text = document(
            lead,
            sections,
            title=f"Poreflux: {self.name}",
            subtitle=subtitle,
            made={"version": __version__, "date": None, "commit": None} | made,
            catalogue=self.catalogue.plain() if self.catalogue else None,
            plots=self.plots,
            library=library() if self.plots else None,
        )
        for path in self.folder.iterdir():
            if path.suffix in (".png", ".svg") and path.stem not in self.drawn:
                path.unlink()
        target = self.folder.parent / "index.html"
        write_atomically(target, text.encode())
        return target

    def engine(self, stage: str) -> str:
        """Readable name of the engine that a stage runs on."""
        key = self.setting(stage, "engine", default="")
        return ENGINE_NAMES.get(key, key or "our engine")

    def feature_label(self, feature: str) -> str:
        """A feature in words: a descriptor's name or the range of a histogram bin."""
        if feature in GEOMETRY_LABELS:
            return GEOMETRY_LABELS[feature]
        match = re.fullmatch(r"h(\d+)", feature)
        bins, limits = self.setting("energy", "bins"), self.setting("energy", "range_K")
        if not match or not bins or not limits:
            return feature
        width = (limits[1] - limits[0]) / bins
        low = limits[0] + int(match[1]) * width
        return f"energy {low:g} to {low + width:g} K".replace("-", "−")


def _image(drawn: style.Drawn) -> Image:
    return Image.of(drawn.png, drawn.width * PIXELS_PER_INCH, drawn.height * PIXELS_PER_INCH)


def safe_name(text: str) -> str:
    """``text`` as part of a file name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", str(text))
