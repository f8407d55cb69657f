"""Stage ``report``: every table of a study on one page that can be read, printed and moved.

``build`` writes it. ``summary`` computes the numbers, ``figures`` draws, ``page`` makes the
markup, ``simulation``, ``models`` and ``overview`` hold the sections, ``study`` what they
draw on, ``quantities`` how labels are named. The stage ``synthesis`` has a page of its own:
``synthesis``, ``synthesis_figures``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from poreflux.data.labels import DIFFUSIVITY
from poreflux.report import models, overview, simulation
from poreflux.report.study import Study

# Sections of the page, in its order: those that hold results, then how they were made.
SECTIONS = (
    simulation.structures,
    simulation.descriptors,
    simulation.uptake,
    simulation.diffusion,
    models.pretraining,
    models.transfer,
    models.importance,
)


def build(
    tables: dict[str, pd.DataFrame],
    facts: dict,
    folder: str | Path,
    sections: Sequence[str] | None = None,
) -> Path:
    """Write ``index.html`` and ``figures/*.png`` and ``*.svg``.

    Parameters
    ----------
    tables : dict of str to DataFrame
        By ``<set>/<stage>`` (``target/uptake``) or ``study/<table>`` (``study/scores``), as the
        stages wrote them, failed rows included. Any may be missing or empty:
        the page says so and why.
    facts : dict
        ``study`` (name), ``config`` (the complete configuration), ``engines`` (versions of
        packages by stage).
    folder : str or Path
        Made if need be. Figures of an earlier report that this one does not have are removed.
    sections : sequence of str, optional
        Names of the sections wanted (default: all); the provenance is always there, the
        headline only with all.

    Returns
    -------
    Path
        The page.

    Notes
    -----
    Equal tables and facts give equal files: neither dates nor random names are written.
    """
    folder = Path(folder)
    study = Study(tables, facts, folder / "figures")
    study.folder.mkdir(parents=True, exist_ok=True)
    wanted = [s for s in SECTIONS if sections is None or s.__name__ in sections]
    parts = [section(study) for section in wanted]
    label = study.target_label
    goal = "the diffusion of methane" if label == DIFFUSIVITY else study.quantity(label).words
    return study.write(
        f"From crystal structures to {goal}, by transfer learning",
        overview.headline(study) if sections is None else [],
        [*parts, overview.provenance(study)],
    )
