"""The page of ``poreflux transfer``: which source a label follows, and what follows from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from poreflux import __version__
from poreflux.base.files import write_atomically
from poreflux.prediction.transfer import LOG, Transfer
from poreflux.report.figures.axes import equal_axes
from poreflux.report.figures.style import BLUE, GREY, plain, single, styled
from poreflux.report.numbers import decimal, significant, whole
from poreflux.report.rendering import MAX_ROWS, Section, Table, document, render
from poreflux.report.study import Study

SUBTITLE = "From a few labels to all structures, by the physical quantity that they follow"


def build(found: Transfer, folder: str | Path, *, data: str, made: dict | None = None) -> Path:
    """Write ``report.html`` and ``figures/*.png`` and ``*.svg``.

    Parameters
    ----------
    found : Transfer
    folder : str or Path
        Made if need be.
    data : str
        Where labels and structures are from, in words.
    made : dict, optional
        ``date`` of the page.

    Returns
    -------
    Path
        The page: one file that needs no network.
    """
    study = Study({}, {"study": found.label}, Path(folder) / "figures")
    study.folder.mkdir(parents=True, exist_ok=True)
    sections = [
        Section("source", "Which source helps", _sources(found)),
        Section("held-out", "Predicted against measured", _held_out(found, study)),
        Section("next", "What to measure next", _next(found)),
    ]
    if len(found.left_out):
        sections.append(Section("left-out", "Labels to look at", _left_out(found)))
    sections.append(Section("provenance", "How it was made", _provenance(found, data)))
    text = document(
        [render("own_label/headline", found=found)],
        sections,
        title=f"Poreflux: {found.label}",
        subtitle=SUBTITLE,
        made={"version": __version__, "date": None, "commit": None} | (made or {}),
        catalogue=None,
        plots={},
        library=None,
    )
    path = Path(folder) / "report.html"
    write_atomically(path, text.encode())
    return path


def _sources(found: Transfer):
    table = found.sources[found.sources["rmse"].notna()]
    heads = [
        *("Source", "Meaning", "Line, left out: R²", "LogME", "Error of the line"),
        *("Error with a process", "Gain over no source", "Clearly"),
    ]
    rows = [
        [
            r.source,
            r.meaning,
            decimal(r.line_left_out_r2),
            decimal(r.logme),
            significant(r.rmse_line),
            significant(r.rmse),
            f"{significant(r.gain, 2)} ± {significant(r.gain_err, 2)}",
            "yes" if r.helps else "no",
        ]
        for r in table.head(MAX_ROWS).itertuples()
    ]
    unknown = found.sources[found.sources["rmse"].isna()]
    return render(
        "own_label/sources",
        table=Table(heads, rows),
        more=len(table) - len(rows),
        unknown=list(unknown["source"]),
        advisor=found.advisor.to_dict("records"),
        unit=found.unit,
    )


def _held_out(found: Transfer, study: Study):
    table = found.predictions[found.predictions["status"] == "measured"]
    picture = study.draw("held_out", draw_held_out(table, found.label, found.scale == LOG))
    return render("own_label/held_out", found=found, picture=picture)


def _next(found: Transfer):
    rows = [
        [
            whole(i),
            r.name,
            significant(r.predicted),
            f"{significant(r.low)} to {significant(r.high)}",
            decimal(r.information_bits),
        ]
        for i, r in enumerate(found.next.itertuples(index=False), 1)
    ]
    heads = ["", "Structure", "Predicted", "90 % interval", "Information (bits)"]
    return render("own_label/next", table=Table(heads, rows), n=len(rows))


def _left_out(found: Transfer):
    rows = found.left_out.astype(str).head(MAX_ROWS).to_numpy().tolist()
    table = Table(["Structure", "What"], rows)
    return render("own_label/left_out", table=table, more=len(found.left_out) - len(rows))


def _provenance(found: Transfer, data: str):
    counts = found.predictions["status"].value_counts().to_dict()
    return render("own_label/provenance", found=found, data=data, counts=counts)


@styled
def draw_held_out(table: pd.DataFrame, label: str, is_log: bool) -> Figure:
    """Predictions of structures held out against their labels, with 90 % intervals.

    Parameters
    ----------
    table : DataFrame
        measured, predicted, low, high.
    label : str
    is_log : bool
        Axes are logarithmic.
    """
    figure, axis = single(4.9, 4.9)
    x, y = table["measured"].to_numpy(float), table["predicted"].to_numpy(float)
    axis.vlines(x, table["low"], table["high"], color=GREY, lw=0.7, alpha=0.45, zorder=1)
    axis.plot(x, y, "o", color=BLUE, ls="none", mec="white", mew=0.3)
    equal_axes(axis, np.concatenate([x, y]), is_log=is_log)
    axis.set(xlabel=f"Measured: {plain(label)}", ylabel=f"Predicted: {plain(label)}")
    return figure
