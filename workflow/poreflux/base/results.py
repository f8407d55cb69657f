"""What stages return: dataclasses that know their row of a table and show themselves."""

from __future__ import annotations

import dataclasses
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd
    from matplotlib.axes import Axes


class Result:
    """Base of what a stage returns for one structure, a dataclass unless it has other rows."""

    def columns(self) -> dict:
        """The row of the stage's table."""
        plain = dataclasses.asdict(self)
        return {k: v.item() if isinstance(v, np.generic) else v for k, v in plain.items()}

    def rows(self) -> list[dict]:
        """All rows of the stage's table."""
        return [self.columns()]

    def shown(self) -> list[dict]:
        """The rows that a notebook shows."""
        return self.rows()

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame with the columns of the stage's table, one row or one for each pressure."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the result with matplotlib, into ``ax`` or a new figure; returns the Axes."""
        return _display().plot(self, ax)

    def _repr_html_(self) -> str:
        return _display().html(self)


def _display() -> ModuleType:
    """By its name, so that the code of results does not count how they look."""
    return import_module("poreflux.base.display")
