import re

import numpy as np
import pandas as pd
import pytest

from poreflux.base.errors import ConfigError, DataError
from poreflux.data import from_files as imported
from poreflux.data.features import feature_table
from poreflux.data.labels import from_stages, values_of
from poreflux.run.settings import SetTables

GEOMETRY = {
    "lcd_A": "LCD", "pld_A": "PLD", "asa_m2_cm3": "V", "asa_m2_g": "G", "void_fraction": "F",
}  # fmt: skip
BINS = ["low", "middle", "high"]


@pytest.fixture
def file(tmp_path):
    """Writes a table and gives its path."""

    def write(columns, name="table.csv.gz"):
        pd.DataFrame(columns).to_csv(tmp_path / name, index=False)
        return str(tmp_path / name)

    return write


@pytest.fixture
def descriptors(file):
    return file(
        {
            "mof": ["b", "a", "c"],
            "LCD": [7.0, 8.0, 9.0], "PLD": [3.0, 4.0, np.nan], "V": 1.0, "G": 2.0, "F": 0.5,
            "low": 0.2, "middle": 0.3, "high": 0.5,
        }
    )  # fmt: skip


def read(stage, path, columns, factors=None, **more):
    return imported.stage_table(
        stage, [path], name="mof", columns=columns, factors=factors or {}, **more
    )


def test_descriptors_become_features(descriptors):
    geometry = read("geometry", descriptors, GEOMETRY)
    energy = read("energy", descriptors, {"h": BINS})
    features = feature_table(geometry, energy)
    assert features["name"].tolist() == ["a", "b"]
    assert features[["lcd_A", "h00", "h02"]].to_numpy().tolist() == [[8.0, 0.2, 0.5], [7, 0.2, 0.5]]
    failed = geometry[geometry["status"] != "ok"]
    assert failed["name"].tolist() == ["c"] and "missing" in failed["reason"].iloc[0]
    structures = imported.structures([geometry, energy])
    assert structures["name"].tolist() == ["a", "b", "c"]
    # the same name is the same structure in every table
    assert set(features["content_hash"]) <= set(structures["content_hash"])
    assert structures["content_hash"].nunique() == 3


def test_uptakes_become_a_row_a_pressure(file):
    path = file({"mof": ["a", "b"], "u_0.25bar": [1.0, 2.0], "u_100bar": [50.0, 60.0]})
    columns = {"uptake_cm3stp_cm3": "u_<pressure>bar"}
    table = read("uptake", path, columns, pressures_bar=[0.25, 100.0])
    assert table["pressure_bar"].tolist() == [0.25, 100.0, 0.25, 100.0]
    assert values_of(from_stages("uptake_100bar", table), "uptake_100bar")["b"] == 60.0
    with pytest.raises(DataError, match="no column 'u_1bar'"):
        read("uptake", path, columns, pressures_bar=[1.0])


def test_diffusivities_of_structures_with_cifs_keep_their_content(file):
    path = file({"mof": ["a", "z"], "D": [2.0, 5.0]})
    known = pd.DataFrame(
        {
            "name": ["a", "b", "c"], "content_hash": ["11", "22", ""],
            "status": ["ok", "ok", "failed"], "reason": ["", "", "no atoms"],
        }
    )  # fmt: skip
    table = read("diffusion", path, {"d_m2_s": "D"}, {"d_m2_s": 1e-8}, known=known)
    assert table["content_hash"].tolist() == ["11", "22", ""]
    assert table["status"].tolist() == ["ok", "failed", "failed"]
    assert "not in" in table["reason"][1] and table["reason"][2] == "no atoms"
    label = values_of(from_stages("diffusivity", table), "diffusivity")
    assert label.to_dict() == pytest.approx({"a": np.log10(2.0)})
    with pytest.raises(DataError, match="none of the 2 names"):
        read("diffusion", path, {"d_m2_s": "D"}, known=known[1:])


@pytest.mark.parametrize(
    ("stage", "columns", "message"),
    [
        ("geometry", {"lcd_A": "LCD"}, "which column is 'pld_A'"),
        ("geometry", GEOMETRY | {"pld_A": "LCD"}, "must not give 'LCD' for two of our"),
        ("geometry", GEOMETRY | {"pld_A": ["PLD"]}, "must give for pld_A a column, not"),
        ("energy", {"n_grid": "V"}, "which column is 'h'"),
        ("energy", {"h": "low"}, "must give for h the list of all columns"),
        ("energy", {"h": ["low", "low", "high"]}, "must not give 'low' for two"),
        ("uptake", {"uptake_cm3stp_cm3": "V"}, "for each pressure, with <pressure>"),
    ],
)
def test_columns_that_make_no_table_are_refused(descriptors, stage, columns, message):
    """In the library, and before any job in the configuration."""
    with pytest.raises(ConfigError, match=message):
        read(stage, descriptors, columns)
    with pytest.raises(ConfigError, match=message) as error:
        SetTables(**{stage: {"files": descriptors, "columns": columns}})
    assert f"{stage}.columns" in str(error.value)


def test_a_column_that_is_not_there_is_named(descriptors):
    with pytest.raises(
        DataError, match=r"table\.csv\.gz: no column 'pld' \(did you mean 'PLD'\?\)"
    ):
        read("geometry", descriptors, GEOMETRY | {"pld_A": "pld"})


@pytest.mark.parametrize(
    ("changed", "factors", "reason"),
    [
        # per cent, a wrong sign, picometres
        ({"F": 50.0}, {}, "void_fraction = 50 is beyond"),
        ({"F": 50.0}, {"void_fraction": 0.01}, ""),
        ({"PLD": -1.0}, {}, "pld_A = -1 must be at least 0"),
        ({"LCD": 7000.0}, {}, "lcd_A = 7000 is beyond 1000"),
        ({"LCD": 7000.0, "PLD": 300.0}, {"lcd_A": 0.001, "pld_A": 0.01}, ""),
    ],
)
def test_descriptors_that_cannot_be_fail(file, changed, factors, reason):
    rows = {"mof": ["a", "b"], "LCD": 7.0, "PLD": 3.0, "V": 1.0, "G": 2.0, "F": 0.5}
    rows |= {
        column: [value, value if factors else rows[column]] for column, value in changed.items()
    }
    path = file(rows)
    table = read("geometry", path, GEOMETRY, factors).set_index("name")
    assert table.loc["b", "status"] == "ok"
    assert (table.loc["a", "status"] == "failed") == bool(reason)
    assert re.search(reason, table.loc["a", "reason"])
    assert not reason or f"{path}, row 1" in table.loc["a", "reason"]


def test_interchanged_diameters_are_noticed(file, caplog):
    rows = {"mof": ["a", "b"], "LCD": [7.0, 8.0], "PLD": [3.0, 8.0], "V": 1.0, "G": 2.0, "F": 0.5}
    with pytest.raises(DataError, match="in every row pld_A is above lcd_A, 7 above 3 of a; inter"):
        read("geometry", file(rows), GEOMETRY | {"lcd_A": "PLD", "pld_A": "LCD"})
    assert (read("geometry", file(rows), GEOMETRY)["status"] == "ok").all()
    assert not caplog.records
    read("geometry", file(rows | {"PLD": [3.0, 9.0]}), GEOMETRY)
    assert "in 1 of 2 rows pld_A is above lcd_A, 9 above 8 of b" in caplog.text


def test_a_histogram_of_counts_fails(file):
    path = file({"mof": ["a", "b"], "low": [0.6, 0.2], "middle": [0.6, 0.3], "high": 0.5})
    table = read("energy", path, {"h": BINS}).set_index("name")
    assert table["status"].to_dict() == {"a": "failed", "b": "ok"}
    assert "add up to 1.7; give shares of 1" in table.loc["a", "reason"]


def test_where_no_row_can_be_used_the_first_reason_is_told(file):
    path = file({"mof": ["a", "b"], "D": ["fast", "slow"]})
    with pytest.raises(DataError, match=r"a for one: .*row 1, column 'D': 'fast' is no number"):
        read("diffusion", path, {"d_m2_s": "D"})


def test_broken_files_are_named(file, tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match=r"x\.parquet: there are no rows"):
        read("diffusion", str(tmp_path / "x.parquet"), {"d_m2_s": "D"})
    path = file({"mof": ["a", "a"], "D": [1.0, 2.0]})
    with pytest.raises(DataError, match="'a' stands twice"):
        read("diffusion", path, {"d_m2_s": "D"})


def test_names_are_text_as_it_stands(file, tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("mof,D\n001,2.0\n5000,3.0\nNA,4.0\n,\n")
    known = pd.DataFrame(
        {
            "name": ["001", "5000", "NA"],
            "content_hash": ["1", "2", "3"],
            "status": "ok",
            "reason": "",
        }
    )
    unit = {"d_m2_s": 1e-8}
    table = read("diffusion", str(path), {"d_m2_s": "D"}, unit, known=known)
    assert table["status"].tolist() == ["ok"] * 3
    assert table["d_m2_s"].tolist() == pytest.approx([2e-8, 3e-8, 4e-8])
    path.write_text("mof,D\n001,2.0\n,3.0\n")
    with pytest.raises(DataError, match="row 2 below the head has nothing in column 'mof'"):
        read("diffusion", str(path), {"d_m2_s": "D"}, known=known)


def test_a_factor_of_no_column_is_refused(file):
    path = file({"mof": ["a"], "D": [2.0]})
    with pytest.raises(DataError, match=r"factor for 'd_m2s', but the columns .* are d_m2_s"):
        read("diffusion", path, {"d_m2_s": "D"}, {"d_m2s": 1e-8})
