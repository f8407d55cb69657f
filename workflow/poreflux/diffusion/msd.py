"""Mean squared displacement and what it says of diffusion: one analysis for every engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from scipy import fft

# A window of the fit spans this factor in time: long enough for a slope, short enough that its
# far end does not set the error.
WINDOW_FACTOR = 5.0
# Windows start no earlier than this many frames and end no later than this share of the run,
# beyond which too few independent origins are left.
FIRST_FRAMES = 5
LAST_SHARE = 0.5
# Starts of successive candidate windows differ by this factor.
LADDER = 1.3
# Points per window, spaced evenly in log time.
POINTS = 24
# A window is settled when D from every later one, up to this many times later, agrees with its own
# within so many standard errors of the difference, or within this share. The last of these is
# then taken.
LATER = 4.0
AGREEMENT = 2.0
TOLERANCE = 0.02
# What a run must show to be called diffusive.
SLOPE_LIMITS = (0.8, 1.2)
RELATIVE_ERROR_LIMIT = 0.30
# Most frames of a run that are analysed, evenly spaced.
FRAMES_ANALYSED = 5000


@dataclass(frozen=True)
class DiffusionFit:
    """What :func:`fit_diffusion` finds in a trajectory.

    Attributes
    ----------
    d_A2_fs, d_err_A2_fs : float
        Slope of the MSD over 6, and one standard error over groups of molecules.
    d_components_A2_fs, d_components_err_A2_fs : ndarray (3,)
        The same along x, y and z (slope over 2).
    loglog_slope, loglog_slope_err : float
        d log MSD / d log t over the window: 1 when diffusive, 0 when caged, 2 when ballistic.
    window_ps : tuple of 2 floats
        First and last lag of the fit.
    msd_end_A2 : float
        MSD at the last lag of the window.
    linear : bool
        Whether the MSD is a straight line from the window on, as far as later windows tell.
    diffusive : bool
        Whether ``d_A2_fs`` is a measurement.
    upper_A2_fs : float or None
        Upper bound (mean plus two standard errors of MSD / 6t at the last lag), ``None`` where
        the MSD grows faster than linearly, so that it bounds nothing.
    note : str
        Empty, or why the run is not diffusive.
    """

    d_A2_fs: float
    d_err_A2_fs: float
    d_components_A2_fs: np.ndarray
    d_components_err_A2_fs: np.ndarray
    loglog_slope: float
    loglog_slope_err: float
    window_ps: tuple[float, float]
    msd_end_A2: float
    linear: bool
    diffusive: bool
    upper_A2_fs: float | None
    note: str


def mean_squared_displacement(positions_A: np.ndarray) -> np.ndarray:
    """Mean squared displacement of each molecule along each axis, over all time origins.

    Parameters
    ----------
    positions_A : array (n_frames, n_molecules, 3)
        Unwrapped Cartesian positions at equal intervals, Å.

    Returns
    -------
    ndarray float64 (n_frames, n_molecules, 3)
        Entry ``[lag, molecule, axis]`` is the mean over origins t of
        ``(x[t + lag] - x[t])**2``, Å^2.

    Notes
    -----
    O(n log n) through the autocorrelation theorem; the same numbers as the double loop to
    rounding. The molecule's mean position is taken off first, against cancellation.

    References
    ----------
    V. Calandrini, E. Pellegrini, P. Calligari, K. Hinsen, G. R. Kneller, Collection SFN 12,
    201 (2011), eqs. 29-40.

    Examples
    --------
    >>> steps = np.arange(4.0).reshape(-1, 1, 1) * [1.0, 0.0, 2.0]
    >>> mean_squared_displacement(steps)[:, 0].round(9).tolist()
    [[0.0, 0.0, 0.0], [1.0, 0.0, 4.0], [4.0, 0.0, 16.0], [9.0, 0.0, 36.0]]
    """
    x = np.asarray(positions_A, float)
    if x.ndim != 3 or x.shape[2] != 3:
        raise ValueError(f"positions must be (frames, molecules, 3), got shape {x.shape}")
    n = len(x)
    x = x - x.mean(axis=0)
    spectrum = fft.rfft(x, n=fft.next_fast_len(2 * n, real=True), axis=0)
    power = spectrum.real**2 + spectrum.imag**2
    products = fft.irfft(power, n=fft.next_fast_len(2 * n, real=True), axis=0)[:n]
    # sum over origins of x[t]^2 + x[t + lag]^2: all squares but the last and first lag ones
    squares = np.concatenate([np.zeros_like(x[:1]), np.cumsum(x**2, axis=0)])
    total = squares[-1] - squares[np.arange(n)] + squares[n - np.arange(n)]
    msd = (total - 2.0 * products) / (n - np.arange(n))[:, None, None]
    msd[0] = 0.0
    return np.maximum(msd, 0.0)


def fit_diffusion(
    positions_A: np.ndarray, interval_ps: float, *, n_groups: int, cavity_A: float
) -> DiffusionFit:
    """Self-diffusivity from a trajectory of independent molecules.

    Parameters
    ----------
    positions_A : array (n_frames, n_molecules, 3)
        Unwrapped Cartesian positions, Å; at least 20 frames.
    interval_ps : float
        Time between frames.
    n_groups : int
        Groups of consecutive molecules whose scatter gives the standard errors (2 or more).
    cavity_A : float
        Size of the largest cavity: a molecule that stays in it has an MSD below its square.

    Returns
    -------
    DiffusionFit

    Raises
    ------
    ValueError
        If there are fewer than 20 frames or fewer molecules than groups.

    Notes
    -----
    Candidate windows [t, 5t] start at 5 frames and move out by factors of 1.3 until they end
    at half the run. The first is looked for whose MSD begins above ``cavity_A`` squared with a
    log-log slope in 0.8-1.2 and whose D agrees with that of every window up to four times later,
    within two standard errors of their difference or 2 %. The window four times later is taken:
    in some MOFs D(t) falls by 20 % from 5 to 160 ps, so slowly that single windows look straight
    and neighbours agree. If there is none, the last window is taken and the run is not called
    linear. Earlier windows would be more precise, as the number of independent origins falls
    as 1/t; a factor of four in time costs a factor of 1.1 to 1.5 in the error.

    In the window a straight line with an intercept is fitted to log-spaced points with weights
    1/t^2 (equal relative errors); the intercept takes up what the motion inside a cage adds to
    the MSD, which bends its log-log slope long after the MSD has become straight. All standard
    errors are those of the mean over groups, each analysed in the same window.

    The run is diffusive when the log-log slope is in 0.8-1.2, the MSD at the end of the window
    is above ``cavity_A`` squared, and the relative error is at most 30 %.

    References
    ----------
    O. V. Lepskii, Theory Probab. Appl. 1991, 35, 454.
    """
    n_frames, n_molecules = np.shape(positions_A)[:2]
    if n_frames < 20:
        raise ValueError(f"an MSD fit needs at least 20 frames, got {n_frames}")
    if not 2 <= n_groups <= n_molecules:
        raise ValueError(f"n_groups must be 2 to {n_molecules} (molecules), got {n_groups}")
    msd = mean_squared_displacement(positions_A)
    groups = [part.mean(axis=1) for part in np.array_split(msd, n_groups, axis=1)]
    group_msd = np.stack(groups)  # groups x lags x axes
    mean_msd = msd.mean(axis=1)

    windows = list(_windows(n_frames))
    found = _settled(windows, mean_msd, group_msd, cavity_A)
    linear = found is not None
    lags = windows[found if linear else -1]
    slope, slope_err = _loglog(lags, mean_msd, group_msd)

    time_fs = lags * interval_ps * 1000.0
    components = _line_slopes(time_fs, mean_msd[lags]) / 2.0
    group_components = np.stack([_line_slopes(time_fs, g[lags]) for g in group_msd]) / 2.0
    d, d_err = components.mean(), _standard_error(group_components.mean(axis=1))
    end = mean_msd[lags[-1]].sum()
    end_err = _standard_error(group_msd[:, lags[-1]].sum(axis=1))

    reasons = []
    if not SLOPE_LIMITS[0] <= slope <= SLOPE_LIMITS[1]:
        reasons.append(f"log-log slope {slope:.2f} outside 0.8-1.2")
    if end < cavity_A**2:
        reasons.append(f"MSD {end:.3g} Å2 below the largest cavity squared ({cavity_A**2:.3g} Å2)")
    if not d_err <= RELATIVE_ERROR_LIMIT * d:
        reasons.append("relative error above 30 %")
    upper = None
    if slope <= SLOPE_LIMITS[1]:
        upper = float((end + 2.0 * end_err) / (6.0 * time_fs[-1]))
    return DiffusionFit(
        d_A2_fs=float(d),
        d_err_A2_fs=float(d_err),
        d_components_A2_fs=components,
        d_components_err_A2_fs=_standard_error(group_components),
        loglog_slope=float(slope),
        loglog_slope_err=float(slope_err),
        window_ps=(float(lags[0] * interval_ps), float(lags[-1] * interval_ps)),
        msd_end_A2=float(end),
        linear=linear,
        diffusive=not reasons,
        upper_A2_fs=upper,
        note="; ".join(reasons),
    )


def _windows(n_frames: int):
    """Candidate windows, earliest first, each an increasing array of lags (frames)."""
    last_start = LAST_SHARE * (n_frames - 1) / WINDOW_FACTOR
    start = min(float(FIRST_FRAMES), last_start)
    while True:
        end = start * WINDOW_FACTOR
        lags = np.rint(np.geomspace(start, end, POINTS)).astype(int)
        yield np.unique(np.clip(lags, 1, n_frames - 1))
        if start >= last_start:
            return
        start = min(start * LADDER, last_start)


def _loglog(lags, mean_msd, group_msd) -> tuple[float, float]:
    """Log-log slope of the MSD over ``lags`` and its standard error over groups."""
    t = np.log(lags)
    t = t - t.mean()

    def slope(msd):
        y = np.log(np.maximum(msd[lags].sum(axis=1), 1e-300))
        return (t * y).sum() / (t * t).sum()

    return slope(mean_msd), _standard_error(np.array([slope(g) for g in group_msd]))


def _settled(windows: list, mean_msd, group_msd, cavity_A: float) -> int | None:
    """The window that confirms the first settled one, ``None`` if there is none."""
    slopes = np.array([_line_slopes(w.astype(float), mean_msd[w].sum(axis=1)) for w in windows])
    of_groups = np.array(
        [_line_slopes(w.astype(float), group_msd[:, w].sum(axis=2).T) for w in windows]
    )
    starts = np.array([w[0] for w in windows])
    for i, lags in enumerate(windows):
        last = int(np.searchsorted(starts, LATER * starts[i]))
        if last == len(windows):
            return None
        if mean_msd[lags[0]].sum() <= cavity_A**2:
            continue
        if not SLOPE_LIMITS[0] <= _loglog(lags, mean_msd, group_msd)[0] <= SLOPE_LIMITS[1]:
            continue
        # windows share their data: the error is that of the difference
        error = _standard_error((of_groups[i : last + 1] - of_groups[i]).T)
        allowed = np.maximum(AGREEMENT * error, TOLERANCE * abs(slopes[i]))
        if (abs(slopes[i : last + 1] - slopes[i]) <= allowed).all():
            return last
    return None


def _line_slopes(t: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slopes of straight lines through the columns of ``y``, weights 1/t^2."""
    w = t**-2.0
    w = w / w.sum()
    dt = t - (w * t).sum()
    return (w * dt) @ y / (w * dt * dt).sum()


def _standard_error(values: np.ndarray):
    return values.std(axis=0, ddof=1) / np.sqrt(len(values))


def lengthened(
    positions: Callable[[int, int], np.ndarray],
    n_frames: int,
    n_molecules: int,
    most_frames: int,
    interval_ps: float,
    *,
    more_molecules: bool,
    target_error: float,
    n_groups: int,
    cavity_A: float,
) -> tuple[DiffusionFit, int, int]:
    """The fit of a run that grows until it is good enough.

    Parameters
    ----------
    positions : callable
        Given numbers of frames and molecules, positions (Å) from frame 0 to the last, ndarray
        (frames + 1, molecules, 3). What a smaller run has a larger one repeats.
    n_frames, n_molecules : int
        Size at first.
    most_frames : int
        Longest run of the first ``n_molecules``; one of more molecules is shorter in proportion.
    interval_ps : float
        Time between frames.
    more_molecules : bool
        Whether there can be more than ``n_molecules``.
    target_error : float
        Relative standard error wanted.
    n_groups, cavity_A
        As for :func:`fit_diffusion`.

    Returns
    -------
    fit : DiffusionFit
        Of the last run.
    n_frames, n_molecules : int
        Its size.

    Notes
    -----
    A run that does not show a straight MSD is doubled in time, one that does, but not as
    precisely as wanted, in molecules: they also average over channels between which none passes.
    Doubling leaves few chances to stop on an error that is small by accident.

    A run is given up where even ``most_frames`` would not show diffusion: the longest lag that is
    fitted, half the run, times the upper bound of 6 D found so far stays below ``cavity_A``
    squared.
    """
    requests = lengthening(
        n_frames,
        n_molecules,
        most_frames,
        interval_ps,
        more_molecules=more_molecules,
        target_error=target_error,
        n_groups=n_groups,
        cavity_A=cavity_A,
    )
    wanted = next(requests)
    try:
        while True:
            wanted = requests.send(positions(*wanted))
    except StopIteration as done:
        return done.value


def lengthening(
    n_frames: int,
    n_molecules: int,
    most_frames: int,
    interval_ps: float,
    *,
    more_molecules: bool,
    target_error: float,
    n_groups: int,
    cavity_A: float,
) -> Generator[tuple[int, int], np.ndarray, tuple[DiffusionFit, int, int]]:
    """:func:`lengthened`, for a caller who makes many runs grow at once.

    Yields
    ------
    n_frames, n_molecules : int
        Size of the run that is wanted next; its positions are to be sent.

    Returns
    -------
    fit, n_frames, n_molecules
        As of :func:`lengthened`.
    """
    most = most_frames * n_molecules
    while True:
        positions = yield n_frames, n_molecules
        # short lags are of no use in runs this long
        stride = -(-n_frames // FRAMES_ANALYSED)
        fit = fit_diffusion(
            positions[::stride],
            interval_ps * stride,
            n_groups=n_groups,
            cavity_A=cavity_A,
        )
        precise = fit.d_err_A2_fs <= target_error * fit.d_A2_fs
        good = fit.diffusive and fit.linear and precise
        longest_fs = LAST_SHARE * most / n_molecules * interval_ps * 1000.0
        upper = math.inf if fit.upper_A2_fs is None else fit.upper_A2_fs
        if good or 6.0 * upper * longest_fs < cavity_A**2:
            return fit, n_frames, n_molecules
        if more_molecules and fit.linear:
            if 2 * n_molecules * n_frames > most:
                return fit, n_frames, n_molecules
            n_molecules *= 2
        else:
            longer = min(2 * n_frames, most // n_molecules)
            if longer <= n_frames:
                return fit, n_frames, n_molecules
            n_frames = longer
