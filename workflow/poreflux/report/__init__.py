"""Stage ``report``: every table of a study on one page that can be read, printed and moved.

``build`` writes it. ``summary`` computes the numbers, ``figures`` draws, ``page`` makes the
markup, ``simulation``, ``models`` and ``overview`` hold the sections, ``study`` what they
draw on.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from poreflux.report import models, overview, page, simulation
from poreflux.report.study import Study
from poreflux.store import write_atomically

SECTIONS = (
    simulation.structures,
    simulation.descriptors,
    simulation.uptake,
    simulation.diffusion,
    models.pretraining,
    models.transfer,
    models.importance,
    overview.provenance,
)


def build(tables: dict[str, pd.DataFrame], facts: dict, folder: str | Path) -> Path:
    """Write ``index.html`` and ``figures/*.png`` and ``*.svg``.

    Parameters
    ----------
    tables : dict of str to DataFrame
        By ``<set>/<stage>`` (``target/uptake``), ``study/<table>`` (``study/scores``) or
        ``cost``, as the stages wrote them, failed rows included. Any may be missing or empty:
        the page says so and why.
    facts : dict
        ``study`` (name), ``config`` (the complete configuration), ``engines`` (versions of
        packages by stage).
    folder : str or Path
        Made if need be. Figures of an earlier report that this one does not have are removed.

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
    sections = [section(study) for section in SECTIONS]
    text = page.document(
        f"Poreflux: {study.name}",
        "From crystal structures to the diffusion of methane, by transfer learning",
        overview.headline(study),
        sections,
    )
    for path in study.folder.iterdir():
        if path.suffix in (".png", ".svg") and path.stem not in study.drawn:
            path.unlink()
    write_atomically(folder / "index.html", text.encode())
    return folder / "index.html"
