"""Picture of a self-diffusivity."""

import math


def draw(found, ax) -> None:
    """D(t) with its error at the end (engine 'harmonic'), else D along the Cartesian axes."""
    if not found.time_ps > 0.0:
        along = [found.d_x_m2_s, found.d_y_m2_s, found.d_z_m2_s]
        ax.bar(["mean", "x", "y", "z"], [found.d_m2_s, *along])
        ax.errorbar([0], [found.d_m2_s], [found.d_err_m2_s], color="black", capsize=3)
        ax.set_ylabel("D (m²/s)")
        return
    curve = {
        0.5: found.d_half_ps_m2_s,
        1.0: found.d_1_ps_m2_s,
        2.0: found.d_2_ps_m2_s,
        found.time_ps / 2: found.d_half_time_m2_s,
        found.time_ps: found.d_m2_s,
    }
    times = sorted(t for t, d in curve.items() if math.isfinite(d))
    ax.plot(times, [curve[t] for t in times], marker="o")
    ax.errorbar([found.time_ps], [found.d_m2_s], [found.d_err_m2_s], color="C0", capsize=3)
    ax.set_xscale("log")
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel("t (ps)")
    ax.set_ylabel("D(t) (m²/s)")
