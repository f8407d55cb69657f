"""What the models look at: permutation importance, and which source to transfer from.

The importance of a feature is the loss of R2 when its column is shuffled. Two models that rest
on the same features are close; the distance between a source model and the direct target model
advises which source to transfer from, before any fine-tuning.

References
----------
L. Breiman, Machine Learning 45 (2001) 5-32, sec. 10 (permutation importance).
Y. Lim, J. Kim, Mol. Syst. Des. Eng. 2022, doi:10.1039/d2me00082b (distance over the top 10).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from poreflux.base.errors import DataError
from poreflux.base.random_stream import seed_from
from poreflux.data.features import labelled_rows, matrix
from poreflux.data.labels import is_isotherm, pressure_of, rank_of, values_of
from poreflux.learning.learners import get_learner
from poreflux.learning.scoring import r2
from poreflux.learning.stack import Stack
from poreflux.learning.trained import Group, Pretrained, TrainedSize, check_features

IMPORTANCE_COLUMNS = (
    "kind",
    "source_pressure_bar",
    "source_label",
    "feature",
    "pfi",
    "pfi_normalised",
)
TOP = 10


def importance(
    model: Stack,
    x: np.ndarray,
    y: np.ndarray,
    feature_names: Sequence[str],
    *,
    n_repeats: int,
    seed: int,
) -> pd.DataFrame:
    """Permutation importance of every feature, as scikit-learn defines it, all shuffles at once.

    Parameters
    ----------
    model
        Anything whose ``predict(x)`` gives labels (n,) or (1, n).
    x : ndarray, shape (n, d)
        Features, best of rows that the model has not seen.
    y : ndarray, shape (n,)
        Labels.
    feature_names : sequence of str
        Of the d columns.
    n_repeats : int
        Shuffles of each feature.
    seed : int
        In [0, 2**32).

    Returns
    -------
    DataFrame
        Columns feature, pfi (mean loss of R2), pfi_normalised (negative ones set to zero, then
        divided by the sum; all zero where no feature matters).

    Notes
    -----
    The shuffles are those of :func:`sklearn.inspection.permutation_importance` with
    ``random_state=seed`` and ``scoring="r2"``, so that the result is the same to rounding; the
    shuffled copies of a column go through the model together.
    """
    values = _losses(model, x, y, _shuffles(len(y), n_repeats, seed))
    return pd.DataFrame(
        {"feature": list(feature_names), "pfi": values, "pfi_normalised": normalised(values)}
    )


def normalised(pfi: np.ndarray) -> np.ndarray:
    """Importances (d,) without their negative ones, summing to one (or all zero)."""
    clipped = np.clip(pfi, 0.0, None)
    total = clipped.sum()
    return clipped / total if total > 0.0 else clipped


def _shuffles(n: int, n_repeats: int, seed: int) -> np.ndarray:
    """Row orders (n_repeats, n) as scikit-learn makes them: one stream, the same every column.

    scikit-learn shuffles row numbers in place and takes the values from the column as the last
    repeat left it, so that orders compound.
    """
    # scikit-learn draws the seed of its columns from the state that the caller gave.
    column_seed = np.random.RandomState(seed).randint(np.iinfo(np.int32).max + 1)
    stream = np.random.RandomState(column_seed)
    index, order = np.arange(n), np.arange(n)
    orders = np.empty((n_repeats, n), dtype=np.int64)
    for repeat in range(n_repeats):
        stream.shuffle(index)
        order = order[index]
        orders[repeat] = order
    return orders


def _losses(model: Stack, x: np.ndarray, y: np.ndarray, shuffles: np.ndarray) -> np.ndarray:
    """Mean loss of R2 per column, (d,)."""
    baseline = float(r2(y, np.ravel(model.predict(x))))
    n_repeats, n = shuffles.shape
    stacked = np.tile(x, (n_repeats, 1))
    losses = np.empty(x.shape[1])
    for column in range(x.shape[1]):
        stacked[:, column] = x[shuffles, column].ravel()
        predicted = np.ravel(model.predict(stacked)).reshape(n_repeats, n)
        losses[column] = baseline - r2(y, predicted).mean()
        stacked[:, column] = np.tile(x[:, column], n_repeats)
    return losses


def run(
    models: bytes,
    pretrained: Iterable[Pretrained],
    *,
    features_target: pd.DataFrame,
    features_source: pd.DataFrame,
    labels_source: pd.DataFrame,
    n_repeats: int,
    seed: int,
    learner: str = "mlp",
    kinds: Sequence[str] = ("dl", "source"),
) -> pd.DataFrame:
    """Importances of the direct models at one size and of every source model.

    Parameters
    ----------
    models : bytes
        What :func:`poreflux.learning.study.run_size` returned, best for the largest size.
    pretrained : iterable of Pretrained
        Source models; those of other learners and those of several labels are passed over.
    features_target, features_source : DataFrame
        As :func:`poreflux.data.features.feature_table` gives them.
    labels_source : DataFrame
        Labels of the source structures, see :mod:`poreflux.data.labels`.
    n_repeats : int
        Shuffles of each feature.
    seed : int
        The configuration's seed.
    learner : str
        Whose models.
    kinds : sequence of str
        Which models: ``dl``, ``source`` and, at some cost with many structures, ``tl``.

    Returns
    -------
    DataFrame
        Columns :data:`IMPORTANCE_COLUMNS`. Kind ``dl`` is the reference, ``tl`` the fine-tuned
        models (both means over draws, on the structures that a draw's model never saw), and
        ``source`` the source models on their test shares.

    Raises
    ------
    DataError
        If the models were trained on structures that the tables do not hold.
    """
    trained = TrainedSize.from_bytes(models)
    feature_set = get_learner(learner).feature_set
    x, names = matrix(_rows_of(features_target, trained.content_hashes), feature_set)
    check_features(names, trained.feature_names, "the target model")
    tables = []
    for group in trained.groups:
        if group.learner != learner or group.kind not in kinds:
            continue
        pfi = _mean_over_draws(group, trained, x, n_repeats, seed)
        tables.append(_table(group.kind, group.source, names, pfi))
    for source in sorted(pretrained, key=lambda source: rank_of(source.label)):
        if source.learner != learner or "source" not in kinds or is_isotherm(source.label):
            continue
        rows, y = labelled_rows(features_source, values_of(labels_source, source.label))
        labels = pd.Series(y, index=rows["content_hash"])
        tested = _rows_of(rows, source.test_hashes)
        x_source, names_source = matrix(tested, feature_set)
        check_features(names_source, source.feature_names, "the source model")
        y_source = labels.loc[tested["content_hash"]].to_numpy()
        stream = _stream(seed, "source", source.label, 0)
        shuffles = _shuffles(len(y_source), n_repeats, stream)
        pfi = _losses(source.load(), x_source, y_source, shuffles)
        tables.append(_table("source", source.label, names_source, pfi))
    return pd.concat(tables, ignore_index=True)


def _mean_over_draws(
    group: Group, trained: TrainedSize, x: np.ndarray, n_repeats: int, seed: int
) -> np.ndarray:
    """Mean importances (d,) of a group's models, each on the structures that it never saw."""
    held_out = trained.held_out()
    losses = []
    for draw in range(len(group.model)):
        rows = np.flatnonzero(held_out[draw])
        stream = _stream(seed, group.kind, group.source, draw)
        shuffles = _shuffles(len(rows), n_repeats, stream)
        member = group.model.select([draw])
        losses.append(_losses(member, x[rows], trained.labels[rows], shuffles))
    return np.mean(losses, axis=0)


def _stream(seed: int, kind: str, source: str, draw: int) -> int:
    """A seed below 2**32, the most that numpy's RandomState takes."""
    return seed_from(seed, "importance", kind, source, draw) >> 32


def _rows_of(features: pd.DataFrame, content_hashes: Sequence[str]) -> pd.DataFrame:
    """One row for each of the content hashes, in their order."""
    by_hash = features.drop_duplicates("content_hash").set_index("content_hash", drop=False)
    missing = [h for h in content_hashes if h not in by_hash.index]
    if missing:
        raise DataError(
            f"{len(missing)} structures that a model was trained on are not in the features, "
            f"the first with content hash {missing[0]}"
        )
    return by_hash.loc[list(content_hashes)].reset_index(drop=True)


def _table(kind: str, source: str, names: Sequence[str], pfi: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame({"feature": names, "pfi": pfi, "pfi_normalised": normalised(pfi)})
    table.insert(0, "source_label", source)
    table.insert(0, "source_pressure_bar", pressure_of(source))
    table.insert(0, "kind", kind)
    return table[list(IMPORTANCE_COLUMNS)]


def distances(table: pd.DataFrame, top: int = TOP) -> pd.DataFrame:
    """The source advisor: how far each source model's importances are from the reference's.

    Parameters
    ----------
    table : DataFrame
        As :func:`run` returns it.
    top : int
        Features compared: those of highest importance in the reference (kind ``dl``).

    Returns
    -------
    DataFrame
        Columns source_pressure_bar, source_label, distance (Euclidean, of normalised
        importances), rank (1 for the nearest, the source to transfer from), in the order of the
        table.

    Raises
    ------
    DataError
        If the table has no reference.
    """
    reference = table[table["kind"] == "dl"].set_index("feature")["pfi_normalised"]
    if reference.empty:
        raise DataError("the importances hold no reference (kind dl)")
    leading = reference.sort_values(ascending=False, kind="stable").index[:top]
    rows = []
    for label, group in table[table["kind"] == "source"].groupby("source_label", sort=False):
        other = group.set_index("feature")["pfi_normalised"]
        distance = float(np.linalg.norm(other.loc[leading] - reference.loc[leading]))
        pressure = group["source_pressure_bar"].iloc[0]
        rows.append({"source_pressure_bar": pressure, "source_label": label, "distance": distance})
    result = pd.DataFrame(rows, columns=["source_pressure_bar", "source_label", "distance"])
    result["rank"] = result["distance"].rank(method="first").astype(int)
    return result
