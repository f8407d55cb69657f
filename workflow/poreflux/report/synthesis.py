"""The page of the stage ``synthesis``: does a literature table help a small in-house one?

``build`` writes it from the tables of :mod:`poreflux.synthesis.case`, several cases put together.
Every judgement in words is computed: an interval clear of zero decides, one that holds zero does
not. The topics are those of ``sections.synthesis``.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from poreflux.report.sections.provenance import provenance
from poreflux.report.sections.synthesis import SECTIONS
from poreflux.report.sections.synthesis.conditions import conditions
from poreflux.report.sections.synthesis.headline import headline
from poreflux.report.synthesis_study import SynthesisStudy

PAPER_AUTHORS, PAPER_DOI = "Du", "10.1016/j.nwnano.2025.100153"
SUBTITLE = "From synthesis conditions to particle size, literature to laboratory"


def build(tables: dict[str, pd.DataFrame], facts: dict, folder: str | Path) -> Path:
    """Write ``index.html`` and ``figures/*.png`` and ``*.svg``.

    Parameters
    ----------
    tables : dict of str to DataFrame
        By the names in :data:`poreflux.synthesis.TABLES`, each with the column ``case`` and
        any number of cases; optional ``dropped`` (table, row, column, reason) and
        ``new_conditions`` (row, predicted, low, high, in_domain, variant; maybe case). Any may be
        missing or empty: the page says so.
    facts : dict
        ``study`` (name), ``config`` (the complete configuration), ``engines`` (versions of
        packages by stage), ``made`` (date, commit), ``synthetic`` (whether the tables say that
        their rows are).
    folder : str or Path
        Made if need be. Figures of an earlier report that this one does not have are removed.

    Returns
    -------
    Path
        The page.

    Notes
    -----
    Equal tables and facts give equal files.
    """
    study = SynthesisStudy(tables, facts, Path(folder) / "figures")
    study.folder.mkdir(parents=True, exist_ok=True)
    sections = [section(study) for section in SECTIONS]
    if tables.get("new_conditions") is not None:
        sections.append(conditions(study))
    sections.append(provenance(study, PAPER_AUTHORS, PAPER_DOI, "tables", ()))
    return study.write(SUBTITLE, [headline(study)], sections)
