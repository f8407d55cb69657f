import numpy as np
import pandas as pd
import pytest

from poreflux.base.errors import DataError
from poreflux.data import from_files as imported
from poreflux.data.features import feature_table
from poreflux.data.labels import from_stages, values_of

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
        ("geometry", GEOMETRY | {"pld_A": "width"}, "no column 'width'"),
        ("energy", {"n_grid": "V"}, "which column is 'h'"),
    ],
)
def test_missing_columns_are_named(descriptors, stage, columns, message):
    with pytest.raises(DataError, match=message):
        read(stage, descriptors, columns)


def test_broken_files_are_named(file, tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match=r"x\.parquet cannot be read"):
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
    table = read("diffusion", str(path), {"d_m2_s": "D"}, known=known)
    assert table["status"].tolist() == ["ok"] * 3
    assert table["d_m2_s"].tolist() == [2.0, 3.0, 4.0]
    path.write_text("mof,D\n001,2.0\n,3.0\n")
    with pytest.raises(DataError, match="row 2 below the head has nothing in column 'mof'"):
        read("diffusion", str(path), {"d_m2_s": "D"}, known=known)


def test_a_factor_of_no_column_is_refused(file):
    path = file({"mof": ["a"], "D": [2.0]})
    with pytest.raises(DataError, match=r"factor for 'd_m2s', but the columns .* are d_m2_s"):
        read("diffusion", path, {"d_m2_s": "D"}, {"d_m2s": 1e-8})
