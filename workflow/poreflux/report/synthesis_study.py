"""What the topics of the synthesis page draw on: the tables case by case, and names in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from poreflux.report.statistics import finite, usable
from poreflux.report.study import Study, safe_name
from poreflux.synthesis import LEAVE_ONE_OUT

VARIANT_WORDS = {
    "mean": "mean of the in-house rows",
    "literature": "literature only",
    "in_house": "in-house only",
    "in_house_augmentation": "in-house only, augmented",
    "baseline": "both, equal weights (baseline)",
    "augmentation": "both, equal weights, augmented",
    "transfer": "transfer (weighted)",
    "continued": "transfer (continued booster)",
    "transfer_augmentation": "transfer (weighted), augmented",
}
STAGE_WORDS = {"before": "before transfer (literature)", "after": "after transfer"}
METHOD_WORDS = {"gain": "gain of splits", "permutation": "permutation", "shap": "mean |SHAP|"}
TABLE_WORDS = {"literature": "literature", "in_house": "in-house"}


@dataclass
class SynthesisStudy(Study):
    """A study whose tables hold several cases, told apart by their column ``case``."""

    def __post_init__(self):
        found = [t["case"] for t in self.tables.values() if t is not None and "case" in t]
        self.cases = list(dict.fromkeys(str(c) for column in found for c in column))
        self._slugs: dict[str, str] = {}
        for case in self.cases:
            slug = safe_name(case)
            while slug in self._slugs.values():
                slug += "_"
            self._slugs[case] = slug

    def slug(self, case: str) -> str:
        """A case's name as part of a file name; different cases never share it."""
        return self._slugs[case]

    def of(self, key: str, case: str, *columns: str) -> pd.DataFrame:
        """A case's rows of a table, with at least ``columns``; maybe none."""
        table = usable(self.tables.get(key), "case", *columns)
        return table[table["case"].astype(str) == case].reset_index(drop=True)

    def why_case(self, key: str, case: str) -> str:
        """In words: why a case has nothing to show of a table."""
        table = self.tables.get(key)
        if table is None or table.empty:
            return self.why(key)
        holds_case = not self.of(key, case).empty
        reason = f"no finite numbers of the case {case}" if holds_case else f"no case {case}"
        return f"the table {key} holds {reason}"

    def fact(self, case: str, column: str, default=""):
        """One value of the summary of a case, or ``default``."""
        rows = self.of("summary", case, column)
        value = rows[column].iloc[0] if len(rows) else None
        return default if value is None or pd.isna(value) else value

    def quantity(self, case: str) -> str:
        """The target in words with its unit."""
        name, unit = str(self.fact(case, "target", "target")), str(self.fact(case, "unit"))
        return _with_unit(name, unit)

    def logarithmic(self, case: str) -> bool:
        """Whether the case's target is learnt on a logarithmic scale."""
        return self.fact(case, "scale") == "log"

    def feature(self, name: str) -> str:
        """A column in words, with its unit where the configuration gives one."""
        unit = self.setting("synthesis", "columns", "numeric", name, "unit", default="")
        return _with_unit(name, str(unit or ""))

    def variants(self, tables: Iterable[pd.DataFrame]) -> dict[str, str]:
        """Variants in the order of appearance, in words."""
        names = dict.fromkeys(v for table in tables for v in table["variant"])
        return {name: in_words(name) for name in names}


def in_words(variant: str) -> str:
    """A variant's name in words."""
    return VARIANT_WORDS.get(variant, str(variant).replace("_", " "))


def leave_one_out(study: SynthesisStudy, case: str) -> pd.DataFrame:
    """The errors of a case's variants, every condition left out once; RMSE finite."""
    rows = finite(study.of("scores", case, "scheme", "variant", "rmse", "rmse_scaled"), "rmse")
    return rows[rows["scheme"] == LEAVE_ONE_OUT].drop_duplicates("variant")


def _with_unit(name: str, unit: str) -> str:
    """A column's name in words: its unit stands in brackets, not twice.

    >>> _with_unit("zn_mol_per_L", "mol/L"), _with_unit("solvent", "")
    ('zn (mol/L)', 'solvent')
    """
    suffix = "_" + unit.replace("/", "_per_").replace("°", "")
    if unit and name.endswith(suffix):
        name = name.removesuffix(suffix)
    words = name.replace("_", " ")
    return f"{words} ({unit})" if unit else words
