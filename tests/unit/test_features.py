import numpy as np
import pandas as pd
import pytest

from poreflux.base.errors import DataError
from poreflux.data.features import (
    GEOMETRY_COLUMNS,
    MOBILITIES,
    PERCOLATION_ENERGIES,
    PERCOLATION_SHARES,
    diffusion_labels,
    feature_table,
    labelled_rows,
    matrix,
    select_features,
    uptake_labels,
    why_none,
)


def stage_tables(n=4, bins=50):
    rng = np.random.default_rng(0)
    key = {
        "name": [f"mof{i}" for i in range(n)],
        "content_hash": [f"{i:04x}" for i in range(n)],
        "status": "ok",
        "reason": "",
    }
    geometry = pd.DataFrame(key | {c: rng.uniform(1, 2, n) for c in GEOMETRY_COLUMNS})
    shares = rng.dirichlet(np.ones(bins), n)
    energy = pd.DataFrame(key | {"n_grid": 8} | {f"h{i:02d}": shares[:, i] for i in range(bins)})
    return geometry, energy


def test_table_has_identity_and_55_features():
    table = feature_table(*stage_tables())
    assert list(table.columns[:7]) == ["name", "content_hash", *GEOMETRY_COLUMNS]
    assert table.shape == (4, 2 + 55)


def test_a_structure_that_failed_in_either_stage_is_left_out():
    geometry, energy = stage_tables()
    geometry.loc[0, "status"] = energy.loc[2, "status"] = "failed"
    assert feature_table(geometry, energy)["name"].tolist() == ["mof1", "mof3"]


def test_stages_that_failed_for_all_leave_no_row_and_say_why():
    geometry, energy = stage_tables()
    geometry.loc[0, ["status", "reason"]] = ["failed", "no atoms"]
    # what a stage writes where nothing came through
    none = energy[["name", "content_hash"]].assign(status="failed", reason="the cell is too small")
    table = feature_table(geometry, none)
    assert table.empty and list(table.columns) == ["name", "content_hash"]
    why = why_none({"geometry": geometry, "energy": none})
    assert why == "all 4 failed in energy, mof0 for one: the cell is too small"
    geometry.loc[1:, "status"] = "ok"
    energy.loc[1:, "status"] = "failed"
    assert feature_table(geometry, energy).empty
    assert "geometry 3, energy 1" in why_none({"geometry": geometry, "energy": energy})


def test_join_goes_by_name_and_content_not_by_row():
    geometry, energy = stage_tables()
    straight = feature_table(geometry, energy)
    pd.testing.assert_frame_equal(feature_table(geometry, energy.iloc[::-1]), straight)
    energy.loc[1, "content_hash"] = "ffff"
    assert "mof1" not in set(feature_table(geometry, energy)["name"])


def test_more_than_a_hundred_bins_stay_in_order_of_energy():
    geometry, energy = stage_tables(bins=101)
    _, names = matrix(feature_table(geometry, energy.sample(frac=1, axis=1, random_state=0)))
    assert names[5:] == [f"h{i:02d}" for i in range(101)]


def test_matrix_divides_geometry_and_leaves_shares():
    geometry, energy = stage_tables(1)
    geometry[list(GEOMETRY_COLUMNS)] = [30.0, 15.0, 2000.0, 2500.0, 0.5]
    x, names = matrix(feature_table(geometry, energy))
    np.testing.assert_allclose(x[0, :5], [0.5, 0.25, 0.5, 0.25, 0.5])
    np.testing.assert_allclose(x[0, 5:].sum(), 1.0)
    assert x.dtype == np.float64 and x.shape == (1, len(names)) == (1, 55)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g, e: (g.drop(columns="pld_A"), e), "geometry table lacks the columns pld_A"),
        (lambda g, e: (g, e[["name", "content_hash", "status"]]), "no histogram columns"),
        (lambda g, e: (g.assign(lcd_A=np.nan), e), "not finite"),
    ],
)
def test_unusable_tables_are_refused(change, message):
    with pytest.raises(DataError, match=message):
        feature_table(*change(*stage_tables()))


def test_unknown_feature_set_names_the_known_ones():
    with pytest.raises(DataError, match="paper55"):
        matrix(feature_table(*stage_tables()), "paper56")


def test_uptake_labels_take_one_pressure_and_good_rows():
    uptake = pd.DataFrame(
        {
            "name": ["a", "b", "a", "b"],
            "status": ["ok", "failed", "ok", "ok"],
            "pressure_bar": [5.8, 5.8, 100.0, 100.0],
            "uptake_cm3stp_cm3": [10.0, np.nan, 200.0, 210.0],
        }
    )
    assert uptake_labels(uptake, 5.8).to_dict() == {"a": 10.0}
    assert uptake_labels(uptake, 100).to_dict() == {"a": 200.0, "b": 210.0}
    with pytest.raises(DataError, match=r"no uptake at 65 bar.*5\.8, 100 bar"):
        uptake_labels(uptake, 65.0)


def test_diffusion_labels_are_logarithms_of_real_diffusivities():
    diffusion = pd.DataFrame(
        {
            "name": ["fast", "slow", "caged", "failed"],
            "status": ["ok", "ok", "ok", "failed"],
            "diffusive": [True, True, False, None],
            "d_m2_s": [1e-7, 1e-10, 1e-12, np.nan],
        }
    )
    labels = diffusion_labels(diffusion)
    assert labels.index.tolist() == ["fast", "slow"]
    np.testing.assert_allclose(labels, [1.0, -2.0])


def test_labelled_rows_are_unique_by_content_and_free_of_order():
    features = feature_table(*stage_tables())
    features.loc[3, "content_hash"] = features.loc[0, "content_hash"]
    labels = pd.Series({"mof0": 1.0, "mof1": 2.0, "mof3": 4.0, "unknown": 5.0})
    rows, y = labelled_rows(features, labels)
    assert rows["name"].tolist() == ["mof0", "mof1"] and y.tolist() == [1.0, 2.0]
    shuffled, y_shuffled = labelled_rows(features.iloc[::-1], labels.iloc[::-1])
    pd.testing.assert_frame_equal(shuffled, rows)
    np.testing.assert_array_equal(y_shuffled, y)


def percolation_table(geometry):
    n = len(geometry)
    table = geometry[["name", "content_hash", "status"]].copy()
    for i, column in enumerate(PERCOLATION_ENERGIES):
        table[column] = np.linspace(-3000.0, 20_000.0, n) + i
    for column in PERCOLATION_SHARES:
        table[column] = np.linspace(0.0, 1.0, n)
    for column in MOBILITIES:
        table[column] = np.linspace(0.0, 0.1, n)
    # of no use where nothing is adsorbed
    table["heat_of_adsorption_kJ_mol"] = np.nan
    return table


def test_percolation_joins_the_features():
    geometry, energy = stage_tables()
    percolation = percolation_table(geometry)
    percolation.loc[1, "status"] = "failed"
    table = feature_table(geometry, energy, percolation)
    assert table["name"].tolist() == ["mof0", "mof2", "mof3"]
    x, names = matrix(table, "percolation")
    assert names == [*GEOMETRY_COLUMNS, *PERCOLATION_ENERGIES, *PERCOLATION_SHARES]
    assert x.shape == (3, 17) and np.isfinite(x).all()
    np.testing.assert_allclose(x[:, 0], np.log(table["lcd_A"]))
    # in units of 298 K; what is closed to all guests is cut at 40 of them
    assert x[0, 5] == pytest.approx(-3000.0 / 298.0)
    assert x[2, 5] == 40.0
    assert matrix(table, "all")[0].shape == (3, 17 + 4 + 50)
    x, names = matrix(table, "mobility")
    assert names[17:] == [*MOBILITIES]
    # decades below free space; a closed framework is five below
    np.testing.assert_allclose(x[:, 17:], [[-5.0] * 4, [np.log10(0.2 / 3)] * 4, [-1.0] * 4])
    # a table from a file may lack them, and serves the other feature sets
    without = feature_table(geometry, energy, percolation.drop(columns=[*MOBILITIES]))
    np.testing.assert_array_equal(matrix(without, "percolation")[0], x[:, :17])
    with pytest.raises(DataError, match="lack the columns mobility"):
        matrix(without, "mobility")


def test_logarithms_of_diameters_and_cumulative_shares():
    geometry, energy = stage_tables()
    geometry.loc[0, "pld_A"] = 0.0
    table = feature_table(geometry, energy)
    x, names = matrix(table, "log55")
    assert names == matrix(table)[1]
    assert x[0, 1] == pytest.approx(np.log(0.1))
    shares = table[names[5:]].to_numpy()
    np.testing.assert_allclose(np.exp(x[:, 5:]) - 1e-4, np.cumsum(shares, axis=1))


def test_a_feature_set_uses_its_columns_alone():
    geometry, energy = stage_tables()
    table = feature_table(geometry, energy, percolation_table(geometry))
    assert select_features(table, "paper55").shape == (4, 2 + 55)
    assert select_features(table, "percolation").shape == (4, 2 + 17)
    np.testing.assert_array_equal(
        matrix(select_features(table, "all"), "all")[0], matrix(table, "all")[0]
    )
    with pytest.raises(DataError, match="needs the table of the stage percolation"):
        matrix(feature_table(geometry, energy), "percolation")
