"""Picture of a predicted self-diffusivity."""


def draw(_table, ax, found) -> None:
    """D with its 90 % interval, beside D from dynamics where that was asked for.

    Parameters
    ----------
    _table : DataFrame
        The prediction as a row, which is not needed.
    ax : Axes
    found : Prediction
    """
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
