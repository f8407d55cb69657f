"""Pictures of a predicted self-diffusivity, and of labels of one's own as they are predicted."""

from __future__ import annotations

from poreflux.prediction.transfer import LOG, Transfer


def draw(_table, ax, found) -> None:
    """The picture of a result.

    Parameters
    ----------
    _table : DataFrame
        The result as a row, which is not needed.
    ax : Axes
    found : Prediction or Transfer
    """
    (_draw_transfer if isinstance(found, Transfer) else _draw_prediction)(ax, found)


def _draw_prediction(ax, found) -> None:
    """D with its 90 % interval, beside D from dynamics where that was asked for."""
    names = ["predicted"]
    below, above = found.d_m2_s - found.d_low_m2_s, found.d_high_m2_s - found.d_m2_s
    ax.errorbar([0], [found.d_m2_s], [[below], [above]], marker="o", capsize=5)
    if found.simulated_d_m2_s == found.simulated_d_m2_s:
        names.append("simulated")
        error = found.simulated_d_err_m2_s
        ax.errorbar([1], [found.simulated_d_m2_s], [error], marker="s", capsize=5)
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.set_yscale("log")
    ax.set_ylabel("D (m²/s)")


def _draw_transfer(ax, found) -> None:
    """Labels held out as models that saw neither them nor a variant of them predict them."""
    table = found.predictions[found.predictions["measured"].notna()]
    off = [table["predicted"] - table["low"], table["high"] - table["predicted"]]
    ax.errorbar(table["measured"], table["predicted"], off, fmt="o", ms=4, lw=0.7)
    low, high = table["measured"].min(), table["measured"].max()
    ax.plot([low, high], [low, high], color="grey", lw=0.8)
    if found.scale == LOG:
        ax.set(xscale="log", yscale="log")
    ax.set(xlabel=f"{found.label}, measured", ylabel=f"{found.label}, predicted with 90 % interval")
