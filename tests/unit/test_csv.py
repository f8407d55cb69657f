"""Tables on disk: CSV that a spreadsheet can open, and that reads back as it was."""

import csv

import numpy as np
import pandas as pd
import pytest

from poreflux.base import foreign_tables
from poreflux.base.tables import cell_text, write_csv
from poreflux.run.members import list_members
from poreflux.synthesis.table import Schema, read_table

HARMFUL = ["=1+1", "+1", "-x", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''@x"]
HARMLESS = ["MOF-5", "'tis", "a=b", "", "{x}", "1", "''", "ü"]


@pytest.fixture
def written(tmp_path):
    names = [n for n in (*HARMFUL, *HARMLESS) if n]
    numbers = np.linspace(-1.5e-9, 1, len(names))
    table = pd.DataFrame({"name": names, "=d": numbers, "n": np.arange(-3, len(names) - 3)})
    write_csv(table, tmp_path / "t.csv")
    return table, tmp_path / "t.csv"


def test_no_cell_of_a_csv_is_a_formula(written):
    table, path = written
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    for cell in (*head, *(row[0] for row in rows)):
        # what OWASP lists as the beginnings of formulas
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")), cell
    assert [cell_text(row[0]) for row in rows] == table["name"].tolist()
    assert [row[0] for row in rows if row[0] in HARMLESS] == [n for n in HARMLESS if n]
    # numbers are numbers
    np.testing.assert_array_equal([float(row[1]) for row in rows], table["=d"])
    np.testing.assert_array_equal([int(row[2]) for row in rows], table["n"])


@pytest.mark.parametrize("name", [*HARMFUL, *HARMLESS])
def test_a_cell_reads_back_as_it_was(name, tmp_path):
    write_csv(pd.DataFrame({"x": [name, "other"]}), tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert cell_text(list(csv.reader(file))[1][0]) == name


def test_names_are_those_that_were_written(tmp_path):
    names = ["=1+1", "-x", "@b", "'=c", "MOF-5"]
    path = tmp_path / "t.csv"
    write_csv(pd.DataFrame({"name": names, "d": range(5)}), path)
    assert foreign_tables.read_table(path).texts("name") == names
    asked = {"package": "core-mof", "archive": "2019-ASR", "names": str(path)}
    assert list(list_members(asked, tmp_path)) == names


def test_categories_and_columns_of_conditions_are_those_that_were_written(tmp_path):
    table = pd.DataFrame({"size": [1.5, 2.5], "paper": ["=a", "b"], "-x": ["@1", "'+2"]})
    write_csv(table, tmp_path / "t.csv")
    size = {"name": "size", "scale": "linear"}
    columns = {"target": size, "group": "paper", "numeric": {}, "categorical": ["-x"]}
    schema = Schema.from_config(columns | {"keep": {}, "missing": []})
    rows, _ = read_table(tmp_path / "t.csv", schema)
    assert set(rows["-x"]) == {"@1", "'+2"}
    assert set(rows["group"]) == {"=a", "b"}
