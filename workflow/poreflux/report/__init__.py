"""Stage ``report``: every table of a study on one page that can be read, printed and moved.

``build`` writes it. ``sections`` holds the topics, each with its numbers and figures;
``templates`` the prose and the markup (``rendering`` fills them), ``figures`` what all figures
share. ``study`` is what the topics draw on, ``scores``, ``sources`` and ``statistics`` are numbers
that several need, ``numbers`` how they are printed, ``quantities`` how labels are named. The stage
``synthesis`` has a page of its own: ``synthesis``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from poreflux.data.labels import DIFFUSIVITY
from poreflux.report.sections import SECTIONS
from poreflux.report.sections.catalogue import all_structures
from poreflux.report.sections.headline import headline
from poreflux.report.sections.provenance import provenance
from poreflux.report.study import Study

__all__ = ["SECTIONS", "build"]


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
        What the plan says of the study, see :class:`poreflux.report.study.Study`. Any may be
        missing.
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
    The page is one file, with its figures and all that makes them interactive, and needs no
    network. Equal tables and facts give equal files: the date is one of the facts.
    """
    folder = Path(folder)
    study = Study(tables, facts, folder / "figures")
    study.catalogue = all_structures(study)
    study.folder.mkdir(parents=True, exist_ok=True)
    parts = [
        section(study) for name, section in SECTIONS.items() if sections is None or name in sections
    ]
    label = study.target_label
    guest = study.setting("diffusion", "guest", default="CH4")
    gas = "methane" if guest == "CH4" else guest
    goal = f"the diffusion of {gas}" if label == DIFFUSIVITY else study.quantity(label).words
    return study.write(
        f"From crystal structures to {goal}, by transfer learning",
        [headline(study)] if sections is None else [],
        [*parts, provenance(study)],
    )
