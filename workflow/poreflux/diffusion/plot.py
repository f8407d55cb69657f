"""Picture of self-diffusivities."""

import math

from poreflux.base.drawing import MOST_LINES, bars, guest_of

ALONG = {"mean": "d_m2_s", "along x": "d_x_m2_s", "along y": "d_y_m2_s", "along z": "d_z_m2_s"}
# Times of D(t) in the table, ps.
D_OF_T = {0.5: "d_half_ps_m2_s", 1.0: "d_1_ps_m2_s", 2.0: "d_2_ps_m2_s"}


def draw(table, ax, of=None) -> None:
    """D(t), of which D is the end (engine 'harmonic'); bars of D of many structures or without it.

    Parameters
    ----------
    table : DataFrame
        Of the stage, of one structure or several, none of them failed.
    ax : Axes
    of : DiffusionSettings, optional
        Names the guest.
    """
    of_guest = f"of {guest}" if (guest := guest_of(of)) else ""
    rows = [row for row in table.to_dict("records") if row["d_m2_s"] > 0]
    with_course = [row for row in rows if row.get("time_ps", 0) > 0]
    if with_course != rows or not 0 < len(rows) <= MOST_LINES:
        series = {"": "d_m2_s"} if len(table) > 1 else ALONG
        # the axis is logarithmic
        positive = {label: table[c].where(table[c] > 0) for label, c in series.items()}
        bars(ax, table, positive, {next(iter(series)): table["d_err_m2_s"]})
        ax.set(ylabel=f"D {of_guest}(m²/s)", yscale="log")
        return
    for row in rows:
        course = _course(row)
        errors = [0.0] * (len(course) - 1) + [row["d_err_m2_s"]]
        ax.errorbar(
            list(course), list(course.values()), errors,
            marker="o", markersize=4, capsize=2, label=row.get("name"),
        )  # fmt: skip
    ax.set(xlabel="t (ps)", ylabel=f"D(t) {of_guest}(m²/s)", xscale="log")
    if max(row["d_m2_s"] for row in rows) > 10 * min(row["d_m2_s"] for row in rows):
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0)


def _course(row: dict) -> dict[float, float]:
    """D(t) by t, ps, as far as it is known."""
    last = row["time_ps"]
    course = {t: row[column] for t, column in D_OF_T.items() if t < last / 2}
    course |= {last / 2: row["d_half_time_m2_s"], last: row["d_m2_s"]}
    return {t: d for t, d in course.items() if math.isfinite(d)}
