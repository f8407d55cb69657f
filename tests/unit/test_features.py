import numpy as np
import pandas as pd
import pytest

from poreflux.base.errors import DataError
from poreflux.data.features import (
    ADSORPTION_ENERGIES,
    BARRIERS,
    EARLY_DIFFUSIVITIES,
    FEATURE_SETS,
    GEOMETRY_COLUMNS,
    MEAN_ENERGIES,
    MOBILITIES,
    PARTICIPATIONS,
    PERCOLATION_ENERGIES,
    PERCOLATION_SHARES,
    columns_of,
    feature_table,
    labelled_rows,
    matrix,
    select_features,
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
    for column in (*PERCOLATION_SHARES, *PARTICIPATIONS):
        table[column] = np.linspace(0.0, 1.0, n)
    for column in MOBILITIES:
        table[column] = np.linspace(0.0, 0.1, n)
    for i, column in enumerate(MEAN_ENERGIES):
        table[column] = table["henry_free_energy_K"] + 298.0 * i
    # the first has no channel
    table.loc[table.index[0], list(MEAN_ENERGIES)] = np.nan
    # of no use where nothing is adsorbed
    table["heat_of_adsorption_kJ_mol"] = np.nan
    return table


def diffusion_table(geometry):
    """Of engine harmonic; the first has no channel, and noise has the better of the second."""
    n = len(geometry)
    table = geometry[["name", "content_hash", "status"]].copy()
    table["dimensionality"] = 3
    for i, column in enumerate(EARLY_DIFFUSIVITIES):
        table[column] = 10.0 ** -np.linspace(7.0, 12.0, n) / 2**i
    table.loc[1, EARLY_DIFFUSIVITIES[0]] = -1e-15
    table.loc[0, list(EARLY_DIFFUSIVITIES)] = np.nan
    table.loc[0, "dimensionality"] = 0
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
    assert matrix(table, "all")[0].shape == (3, 17 + 4 + 4 + 50)
    x, names = matrix(table, "mobility")
    # the best estimate of a diffusivity comes first
    assert names[:4] == [*MOBILITIES]
    # decades below free space; a closed framework is eight below
    np.testing.assert_allclose(x[:, :4], [[-8.0] * 4, [np.log10(0.2 / 3)] * 4, [-1.0] * 4])
    # a table from a file may lack them, and serves the other feature sets
    without = feature_table(geometry, energy, percolation.drop(columns=[*MOBILITIES]))
    places = [names.index(name) for name in matrix(without, "percolation")[1]]
    np.testing.assert_array_equal(matrix(without, "percolation")[0], x[:, places])
    with pytest.raises(DataError, match="lack the columns mobility"):
        matrix(without, "mobility")


def test_where_guest_and_current_are_joins_the_mobility():
    geometry, energy = stage_tables()
    table = feature_table(geometry, energy, percolation_table(geometry))
    x, names = matrix(table, "mobility")
    first = names.index(PARTICIPATIONS[0])
    there = slice(first, first + 4)
    assert names[there] == [*PARTICIPATIONS, *MEAN_ENERGIES] and x.shape == (4, 25)
    # without a channel nothing is anywhere: a millionth of the crystal, 40 kT up
    np.testing.assert_allclose(x[0, there], [np.log(1e-6)] * 2 + [40.0] * 2)
    # logarithms of shares; kT above the Henry free energy
    np.testing.assert_allclose(x[2, there], [np.log(2 / 3)] * 2 + [0.0, 1.0], atol=1e-12)
    broken = percolation_table(geometry)
    broken.loc[1, MEAN_ENERGIES[0]] = np.nan
    with pytest.raises(DataError, match="features of mof1 are not finite"):
        feature_table(geometry, energy, broken)


def test_the_set_without_barriers_needs_none_and_is_the_same_otherwise():
    geometry, energy = stage_tables()
    whole = percolation_table(geometry)
    x, names = matrix(feature_table(geometry, energy, whole), "mobility")
    less = feature_table(geometry, energy, whole.drop(columns=[*BARRIERS]))
    x_less, names_less = matrix(less, "mobility-no-barriers")
    assert names_less == [name for name in names if name not in BARRIERS]
    kept = [i for i, name in enumerate(names) if name not in BARRIERS]
    np.testing.assert_array_equal(x_less, x[:, kept])
    with pytest.raises(DataError, match=r"lack the columns e_perc_1_K.*stage percolation"):
        matrix(less, "mobility")


def test_early_diffusivities_are_decades_and_zero_without_a_channel():
    geometry, energy = stage_tables()
    percolation, diffusion = percolation_table(geometry), diffusion_table(geometry)
    table = feature_table(geometry, energy, percolation, diffusion)
    x, names = matrix(table, "harmonic")
    bare = matrix(table, "mobility-no-barriers")[0]
    # the latest first: the best estimate of a diffusivity
    assert names[:3] == [*EARLY_DIFFUSIVITIES]
    np.testing.assert_array_equal(x[:, 3:], bare)
    np.testing.assert_allclose(x[0, :3], -10.0)
    np.testing.assert_allclose(x[1, 0], -10.0)
    # in 1e-8 m2/s, as the label
    np.testing.assert_allclose(x[3, :3], np.log10([1e-4, 1e-4 / 2, 1e-4 / 4]))
    # nothing was simulated, though a channel runs through: another engine's table
    with pytest.raises(DataError, match="features of mof0 are not finite"):
        feature_table(geometry, energy, percolation, diffusion.assign(dimensionality=1))
    with pytest.raises(DataError, match="diffusion table lacks the columns d_half_ps_m2_s"):
        feature_table(geometry, energy, percolation, diffusion.drop(columns="d_half_ps_m2_s"))


@pytest.mark.parametrize("feature_set", FEATURE_SETS)
def test_columns_of_a_feature_set_are_those_that_it_cannot_do_without(feature_set):
    geometry, energy = stage_tables()
    tables = {
        "geometry": geometry,
        "energy": energy,
        "percolation": percolation_table(geometry),
        "diffusion": diffusion_table(geometry).fillna(0.0),
    }
    needed = columns_of(feature_set)
    assert set(needed) <= set(tables)
    # adsorption is in every table of percolation
    least = {"percolation": (*ADSORPTION_ENERGIES, *PERCOLATION_SHARES)}
    few = {
        stage: tables[stage][["name", "content_hash", "status", *{*columns, *least.get(stage, ())}]]
        for stage, columns in needed.items()
        if stage != "energy"
    }
    x, names = matrix(feature_table(energy=energy, **few), feature_set)
    assert np.isfinite(x).all() and len(names) == x.shape[1]
    assert set(names) - {f"h{i:02d}" for i in range(50)} == {
        c for of in needed.values() for c in of
    }


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
