"""One case from its tables to every result, as one artifact of the store."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from poreflux.base.errors import DataError
from poreflux.base.progress import Progress
from poreflux.learning.choice import best_variant
from poreflux.learning.container import as_array, pack, unpack
from poreflux.learning.variants import (
    VARIANTS,
    FittedVariant,
    LiteratureModel,
    Rows,
    TransferSettings,
    TransferTask,
    fit,
    pretrain,
)
from poreflux.synthesis import LEAVE_ONE_OUT
from poreflux.synthesis.interpretation import AFTER, BEFORE, dependence, interpret
from poreflux.synthesis.table import Case, Schema, missing_values
from poreflux.synthesis.validation import folds_of, score, validate

log = logging.getLogger(__name__)


def rows_of(table: pd.DataFrame, schema: Schema, groups: str = "condition") -> Rows:
    """A table of :func:`poreflux.synthesis.table.read_table` as arrays.

    Parameters
    ----------
    table : DataFrame
    schema : Schema
    groups : str
        Column of the groups: ``"group"`` (article) or ``"condition"``.

    Returns
    -------
    Rows
        Labels are NaN for a table without a target.
    """
    columns = [c.forward(table[name].to_numpy(float)) for name, c in schema.numeric.items()]
    numbers = np.column_stack(columns) if columns else np.empty((len(table), 0))
    levels = table[list(schema.categorical)].to_numpy(dtype=str).reshape(len(table), -1)
    y = np.full(len(table), np.nan)
    if "target" in table.columns:
        y = schema.target.forward(table["target"].to_numpy(float))
    return Rows(numbers, levels, y, table[groups].to_numpy(dtype=str))


def run_case(case: Case, schema: Schema, config: dict, seed: int) -> dict[str, pd.DataFrame]:
    """Validate, compare and interpret every variant on one case.

    Parameters
    ----------
    case : Case
    schema : Schema
    config : dict
        The blocks ``structure``, ``transfer``, ``augmentation``, ``validation`` and
        ``interpretation`` of the configuration's ``synthesis``.
    seed : int
        The configuration's.

    Returns
    -------
    dict of str to DataFrame
        By the names in :data:`poreflux.synthesis.TABLES`, each with the column ``case``:
        ``summary`` (rows, groups, conditions and the literature's own error by article),
        ``missing`` values, and what :func:`poreflux.synthesis.validation.validate`, ``score``,
        :func:`poreflux.synthesis.interpretation.interpret` and ``dependence`` return;
        ``predictions`` holds the target in its unit and ``row``, a number in ``case.in_house``.
    """
    settings = TransferSettings.from_config(config)
    literature = rows_of(case.literature, schema, groups="group")
    in_house = rows_of(case.in_house, schema)
    pretrained = pretrain(literature, settings, seed)
    log.info(
        "case %s: %d literature and %d in-house rows; depth %d, %d trees",
        case.name,
        len(literature),
        len(in_house),
        pretrained.structure.max_depth,
        pretrained.structure.n_trees,
    )
    options = config["validation"]
    n_conditions = len(np.unique(in_house.groups))
    if n_conditions - math.ceil(n_conditions / options["folds"]) < 2:
        raise DataError(
            f"case {case.name}: {n_conditions} in-house conditions in {options['folds']} folds "
            "leave fewer than 2 to learn from; set synthesis.validation.folds to "
            f"{n_conditions}"
        )
    folds = folds_of(in_house, options["folds"], options["repeats"], seed)
    progress = Progress(len(folds), "folds", log)
    predictions, choices, models = validate(
        literature, in_house, pretrained, folds, VARIANTS, settings, seed, progress.step
    )
    scores, comparisons = score(predictions, schema.target, options["resamples"], seed)
    importance, stability = interpret(
        literature,
        in_house,
        pretrained,
        folds,
        models["transfer"],
        schema,
        settings,
        n_repeats=config["interpretation"]["repeats"],
        seed=seed,
    )
    final = fit("transfer", TransferTask(literature, in_house, pretrained, settings, seed))
    stages = {BEFORE: [pretrained.model], AFTER: [final, *_leave_one_out(models, folds)]}
    tables = {
        "summary": _summary(case, schema, literature, in_house, pretrained, final),
        "missing": _missing(case, schema),
        "scores": scores,
        "comparisons": comparisons,
        "predictions": _in_unit(predictions, schema),
        "choices": choices,
        "importance": importance,
        "stability": stability,
        "dependence": dependence(literature, in_house, stages, schema),
    }
    for table in tables.values():
        table.insert(0, "case", case.name)
    return tables


def _leave_one_out(models: Mapping[str, list[FittedVariant]], folds) -> list[FittedVariant]:
    pairs = zip(models["transfer"], folds, strict=True)
    return [model for model, part in pairs if part.scheme == LEAVE_ONE_OUT]


def _summary(
    case: Case,
    schema: Schema,
    literature: Rows,
    in_house: Rows,
    pretrained: LiteratureModel,
    final: FittedVariant,
) -> pd.DataFrame:
    target = case.in_house["target"]
    return pd.DataFrame(
        [
            {
                "n_literature": len(literature),
                "n_groups": len(np.unique(literature.groups)),
                "n_in_house": len(in_house),
                "n_conditions": len(np.unique(in_house.groups)),
                "target": schema.target_name,
                "unit": schema.target.unit,
                "scale": schema.target.scale,
                "in_house_min": target.min(),
                "in_house_median": target.median(),
                "in_house_max": target.max(),
                "literature_median": case.literature["target"].median(),
                "max_depth": pretrained.structure.max_depth,
                "n_trees": pretrained.structure.n_trees,
                "literature_rmse_scaled": pretrained.rmse,
                "literature_sd_scaled": float(literature.y.std()),
                "weight": float(final.chosen["weight"]),
            }
        ]
    )


def _missing(case: Case, schema: Schema) -> pd.DataFrame:
    tables = {"literature": case.literature, "in_house": case.in_house}
    return pd.concat(
        [missing_values(rows, schema).assign(table=name) for name, rows in tables.items()],
        ignore_index=True,
    )


def _in_unit(predictions: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Held-out predictions in the target's unit."""
    table = predictions.copy()
    table["target"] = schema.target.backward(table.pop("y").to_numpy())
    table["predicted"] = schema.target.backward(table["predicted"].to_numpy())
    return table


def predict_conditions(
    case: Case, new: pd.DataFrame, schema: Schema, config: dict, seed: int, scores: pd.DataFrame
) -> pd.DataFrame:
    """Predict the target of conditions that were never run.

    Parameters
    ----------
    case : Case
        Whose rows are learnt from, all of them.
    new : DataFrame
        As :func:`poreflux.synthesis.table.read_table` gives a table without a target.
    schema : Schema
    config, seed
        As in :func:`run_case`.
    scores : DataFrame
        Of the case: the variant that :func:`poreflux.learning.choice.best_variant` names predicts.

    Returns
    -------
    DataFrame
        Columns row, predicted, low, high (the target in its unit), in_domain and variant; low
        and high span two of those errors either way on the target's scale; ``in_domain`` is
        true where every category was run in-house and every number lies within the in-house
        range.
    """
    settings = TransferSettings.from_config(config)
    literature = rows_of(case.literature, schema, groups="group")
    in_house, asked = rows_of(case.in_house, schema), rows_of(new, schema)
    own = scores[(scores["case"] == case.name) & (scores["scheme"] == LEAVE_ONE_OUT)]
    best = best_variant(own)
    pretrained = pretrain(literature, settings, seed)
    model = fit(best["variant"], TransferTask(literature, in_house, pretrained, settings, seed))
    predicted = model.predict(asked)
    inside = np.ones(len(asked), dtype=bool)
    for given, known in zip(asked.numbers.T, in_house.numbers.T, strict=True):
        if np.isfinite(known).any():
            inside &= (given >= np.nanmin(known)) & (given <= np.nanmax(known))
        else:
            # never recorded in-house: nothing is known of any value
            inside &= np.isnan(given)
    for given, known in zip(asked.levels.T, in_house.levels.T, strict=True):
        inside &= np.isin(given, known)
    error = 2.0 * best["rmse_scaled"]
    backward = schema.target.backward
    table = pd.DataFrame(
        {
            "row": new["row"],
            "predicted": backward(predicted),
            "low": backward(predicted - error),
            "high": backward(predicted + error),
            "in_domain": inside,
            "variant": best["variant"],
        }
    )
    return table.sort_values("row", ignore_index=True)


def to_bytes(tables: Mapping[str, pd.DataFrame]) -> bytes:
    """Tables as bytes that are equal for equal tables."""
    arrays = {}
    for name, table in tables.items():
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        arrays[name] = as_array(buffer.getvalue())
    return pack(arrays)


def from_bytes(data: bytes) -> dict[str, pd.DataFrame]:
    """Read what :func:`to_bytes` wrote."""
    arrays, _ = unpack(data)
    return {name: pd.read_parquet(io.BytesIO(array.tobytes())) for name, array in arrays.items()}
