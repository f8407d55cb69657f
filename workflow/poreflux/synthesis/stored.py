"""Cases as artifacts of the store: the same rows, settings and code are computed once."""

from __future__ import annotations

import pandas as pd

from poreflux.base.tables import table_digest
from poreflux.learning.learners import get_learner
from poreflux.store import Ingredients, Store, package_version
from poreflux.store.code import code_digest
from poreflux.synthesis.case import from_bytes, run_case, to_bytes
from poreflux.synthesis.table import Case, Schema


def evaluated(
    case: Case, schema: Schema, settings: dict, seed: int, store: Store
) -> dict[str, pd.DataFrame]:
    """The tables of :func:`poreflux.synthesis.case.run_case`, from the store or computed.

    Parameters
    ----------
    case : Case
        Neither its name nor the numbers of its rows are ingredients: the same rows under another
        name or in another order are not computed again.
    schema : Schema
    settings : dict
        The blocks of the configuration's ``synthesis`` that say how to learn, and ``columns``.
    seed : int
    store : Store

    Returns
    -------
    dict of str to DataFrame
        ``row`` in ``predictions`` is the number of the data row in the file.
    """
    ingredients = Ingredients(
        stage="synthesis",
        subject=table_digest(case.in_house.drop(columns="row")),
        inputs={"literature": table_digest(case.literature.drop(columns="row"))},
        params=settings | {"seed": seed},
        code=code_digest("poreflux.synthesis.case"),
        engines={name: package_version(name) for name in get_learner("xgboost").packages},
    )
    data = store.get_or_make(ingredients, lambda: to_bytes(run_case(case, schema, settings, seed)))
    tables = {name: table.assign(case=case.name) for name, table in from_bytes(data).items()}
    held = tables["predictions"]
    held["row"] = case.in_house["row"].to_numpy()[held["row"]]
    return tables
