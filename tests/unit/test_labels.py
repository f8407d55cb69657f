import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from poreflux.base.errors import ConfigError, DataError
from poreflux.base.foreign_tables import ForeignTable
from poreflux.data import labels
from poreflux.data.activation import activation, activation_table
from poreflux.data.quantities import COLUMNS, QUANTITIES
from poreflux.diffusion import Diffusivity
from poreflux.geometry import Geometry
from poreflux.percolation import Percolation
from poreflux.report.quantities import quantity
from poreflux.uptake import UptakePoint

STRUCTURES = pd.DataFrame(
    {
        "name": ["a", "b", "copy_of_a", "broken"],
        "content_hash": ["11", "22", "11", ""],
        "status": ["ok", "ok", "ok", "failed"],
    }
)


def test_names_of_labels():
    assert labels.uptake_at(5.8) == "uptake_5.8bar" and labels.uptake_at(100.0) == "uptake_100bar"
    assert labels.pressure_of("uptake_0.25bar") == 0.25
    assert math.isnan(labels.pressure_of("henry"))
    expanded = labels.requested_labels(
        ["uptake", "henry", "uptake_1bar", "gap"], [0.5, 1.0], ["gap"]
    )
    assert expanded == ["uptake_0.5bar", "uptake_1bar", "henry", "gap"]
    with pytest.raises(ConfigError, match=r"'gap'.*diffusivity"):
        labels.requested_labels(["gap"], [1.0])
    mixed = ["isotherm", "uptake_30bar", "uptake_5bar", "gap"]
    assert labels.requested_labels(["isotherm"], [0.5]) == ["isotherm"]
    assert labels.scalar_labels(mixed, [30.0, 0.5]) == [
        "uptake_30bar", "uptake_0.5bar", "uptake_5bar", "gap"
    ]  # fmt: skip
    assert sorted(mixed, key=labels.rank_of) == ["uptake_5bar", "uptake_30bar", "gap", "isotherm"]


def numbers_in(result):
    """Columns of numbers in what a stage returns."""
    kinds = {f.name: str(f.type) for f in dataclasses.fields(result)}
    return {name for name, kind in kinds.items() if kind.split(" | ")[0] in ("float", "int")}


@pytest.mark.parametrize(
    ("stage", "result"),
    [
        ("geometry", Geometry),
        ("percolation", Percolation),
        ("uptake", UptakePoint),
        ("diffusion", Diffusivity),
    ],
)
def test_every_number_that_a_stage_returns_is_a_label(stage, result):
    columns = numbers_in(result) - {"pressure_bar"}
    assert set(COLUMNS[stage]) == columns
    at = "_65bar" if stage == "uptake" else ""
    for column in columns:
        of = QUANTITIES[column]
        # a column that two stages have is that of the first
        assert of.column == column and (of.stage == stage or column in COLUMNS[of.stage])
        if of.stage == stage:
            assert labels.parse(f"{column}{at}_Kr_350K").name == f"{of.name}{at}_Kr_350K"


def test_names_of_labels_of_other_guests_and_temperatures():
    for name, short, guest, temperature_K in (
        ("barrier_1", "barrier_1", None, None),
        ("barrier_1_K", "barrier_1", None, None),
        ("heat_of_adsorption_kJ_mol_CH4", "heat_CH4", "CH4", None),
        ("pld_A", "pld", None, None),
        ("diffusivity_CH4_400K", "diffusivity_CH4_400K", "CH4", 400.0),
        ("henry_273.15K", "henry_273.15K", None, 273.15),
        ("uptake_5.80bar_N2", "uptake_5.8bar_N2", "N2", None),
        ("h07_Kr", "h07_Kr", "Kr", None),
        ("activation_energy_N2", "activation_energy_N2", "N2", None),
    ):
        label = labels.parse(name)
        assert (label.name, label.guest, label.temperature_K) == (short, guest, temperature_K)
        assert labels.requested_labels([name], []) == [short]
    # a pressure belongs to uptakes, and each of these has one
    for name in ("uptake_mol_kg", "henry_65bar", "uptake_..bar", "N2", "_N2", "diffusivity_CO2"):
        assert labels.parse(name) is None
    assert labels.requested_labels(["uptake_N2"], [1.0, 5.8]) == [
        "uptake_1bar_N2",
        "uptake_5.8bar_N2",
    ]
    # what the user describes goes before
    assert labels.requested_labels(["pld_A"], [], ["pld_A"]) == ["pld_A"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mobilty_N2", "'mobilty_N2'; did you mean mobility_N2"),
        ("PLD", "did you mean pld"),
        ("heat_of", "did you mean heat"),
        ("diffusvity_400K", "did you mean diffusivity_400K"),
        ("modlus", "did you mean modulus"),
        ("isoterm_N2", "did you mean isotherm_N2"),
        ("zzz", "'zzz'; there are uptake.* of your own modulus"),
    ],
)
def test_a_label_that_there_is_not_names_the_nearest(name, message):
    with pytest.raises(ConfigError, match=message):
        labels.requested_labels([name], [1.0], ["modulus"])


def test_isotherms_are_whole():
    rows = [("a", 30, 7.0), ("a", 2, 3.0), ("b", 2, 4.0), ("c", 2, 5.0), ("c", 30, 9.0)]
    table = pd.DataFrame(
        [{"name": n, "label": f"uptake_{p}bar", "value": v} for n, p, v in rows]
        + [{"name": "a", "label": "henry", "value": -1.0}]
    )
    found = labels.isotherms_of(table)
    assert list(found.columns) == ["uptake_2bar", "uptake_30bar"]
    assert found.to_numpy().tolist() == [[3.0, 7.0], [5.0, 9.0]] and list(found.index) == ["a", "c"]
    with pytest.raises(DataError, match="needs uptakes"):
        labels.isotherms_of(table[table["label"] == "henry"])
    with pytest.raises(DataError, match="no structure has all of uptake_2bar, uptake_30bar"):
        labels.isotherms_of(table[table["name"].eq("b") | table["value"].eq(7.0)])


def test_isotherms_of_two_guests_are_two():
    rows = [("a", "_N2", 30, 7.0), ("a", "_N2", 2, 3.0), ("a", "", 30, 70.0), ("a", "", 2, 30.0),
            ("a", "_N2_400K", 2, 300.0)]  # fmt: skip
    table = pd.DataFrame(
        [{"name": n, "label": f"uptake_{p}bar{end}", "value": v} for n, end, p, v in rows]
    )
    assert labels.isotherms_of(table).to_numpy().tolist() == [[30.0, 70.0]]
    found = labels.isotherms_of(table, "isotherm_N2")
    assert list(found.columns) == ["uptake_2bar_N2", "uptake_30bar_N2"]
    assert found.to_numpy().tolist() == [[3.0, 7.0]]
    with pytest.raises(DataError, match="isotherm_Kr needs uptakes"):
        labels.isotherms_of(table, "isotherm_Kr")
    asked = labels.requested_labels(["isotherm_N2", "isotherm"], [2.0, 30.0])
    assert asked == ["isotherm_N2", "isotherm"]
    assert labels.scalar_labels(asked[:1], [2.0, 30.0]) == ["uptake_2bar_N2", "uptake_30bar_N2"]
    assert quantity("isotherm_N2", {}).words == "the isotherms of N2"


def test_labels_of_our_stages():
    ok = {"status": "ok", "content_hash": ["11", "22"], "name": ["a", "b"]}
    diffusion = pd.DataFrame(ok | {"diffusive": [True, False], "d_m2_s": [1e-9, 1e-9]})
    found = labels.from_stages("diffusivity", diffusion)
    assert tuple(found.columns) == labels.LABEL_COLUMNS
    assert found[["name", "content_hash"]].to_numpy().tolist() == [["a", "11"]]
    assert found["value"].to_list() == pytest.approx([-1.0])
    percolation = pd.DataFrame(ok | {"henry_mol_kg_bar": [10.0, 0.0]})
    # a structure that nothing enters has no logarithm of its Henry coefficient
    assert labels.from_stages("henry", percolation)["value"].to_list() == pytest.approx([1.0])
    uptake = pd.DataFrame(ok | {"pressure_bar": [65.0, 65.0], "uptake_cm3stp_cm3": [150.0, 210.0]})
    found = labels.from_stages("uptake_65bar", uptake)
    assert labels.values_of(found, "uptake_65bar").to_dict() == {"a": 150.0, "b": 210.0}
    with pytest.raises(DataError, match="diffusivity; there are: uptake_65bar"):
        labels.values_of(found, "diffusivity")


def test_uptakes_are_of_one_pressure_and_good_rows():
    uptake = pd.DataFrame(
        {
            "name": ["a", "b", "a", "b"],
            "content_hash": ["11", "22", "11", "22"],
            "status": ["ok", "failed", "ok", "ok"],
            "pressure_bar": [5.8, 5.8, 100.0, 100.0],
            "uptake_cm3stp_cm3": [10.0, np.nan, 200.0, 210.0],
            "uptake_mol_kg": [1.0, np.nan, 20.0, 21.0],
        }
    )

    def values(name):
        return labels.values_of(labels.from_stages(name, uptake), name).to_dict()

    assert values("uptake_5.8bar") == {"a": 10.0}
    assert values("uptake_100bar_N2") == {"a": 200.0, "b": 210.0}
    assert values("uptake_mol_kg_100bar") == {"a": 20.0, "b": 21.0}
    with pytest.raises(DataError, match=r"no uptake at 65 bar.*5\.8, 100 bar"):
        values("uptake_65bar")


def test_a_label_leaves_out_what_says_only_that_a_structure_is_closed():
    percolation = pd.DataFrame(
        {
            "name": ["open", "tight", "closed", "failed"],
            "content_hash": ["11", "22", "33", "44"],
            "status": ["ok", "ok", "ok", "failed"],
            "mobility": [0.1, 1e-6, 0.0, np.nan],
            # at the cap there is no barrier to speak of
            "barrier_1_K": [500.0, 9000.0, 20_000.0, np.nan],
            "heat_of_adsorption_kJ_mol": [15.0, 20.0, np.nan, np.nan],
            "dimensionality": [3, 1, 0, np.nan],
        }
    )

    def found(name):
        table = labels.from_stages(name, percolation)
        return dict(zip(table["name"], table["value"], strict=True)), set(table["unit"])

    values, units = found("mobility_N2")
    assert values == pytest.approx({"open": -1.0, "tight": -6.0})
    assert units == {"log10 of mobility"}
    assert found("barrier_1") == ({"open": 500.0, "tight": 9000.0}, {"K"})
    assert found("heat_Kr_350K") == ({"open": 15.0, "tight": 20.0}, {"kJ/mol"})
    assert found("dimensionality")[0] == {"open": 3.0, "tight": 1.0, "closed": 0.0}
    with pytest.raises(DataError, match="no column e_perc_1_K for e_perc_1"):
        found("e_perc_1")


def arrhenius(temperatures_K, energy_kJ_mol=8.0, d0_m2_s=3e-8):
    return d0_m2_s * np.exp(-energy_kJ_mol * 1e3 / (8.314462618 * np.asarray(temperatures_K)))


def test_an_activation_energy_is_that_of_the_law_it_is_fitted_to():
    temperatures = np.array([298.0, 350.0, 400.0])
    d = arrhenius(temperatures)
    found = activation(temperatures, d, 0.05 * d)
    assert found.activation_energy_kJ_mol == pytest.approx(8.0, rel=1e-9)
    assert found.d0_m2_s == pytest.approx(3e-8, rel=1e-9)
    # two points: the slope and its error in closed form
    two = activation([298.0, 400.0], d[[0, 2]], [0.03 * d[0], 0.04 * d[2]])
    step = 1 / 298.0 - 1 / 400.0
    assert two.activation_energy_err_kJ_mol == pytest.approx(8.314462618e-3 * 0.05 / step)
    with pytest.raises(DataError, match="two or more temperatures"):
        activation([298.0], d[:1], [0.0])


def test_the_error_of_an_activation_energy_is_that_of_repeated_measurements():
    temperatures = np.array([273.0, 298.0, 350.0, 400.0])
    d, error = arrhenius(temperatures), np.array([0.02, 0.1, 0.05, 0.03])
    draws = np.exp(np.random.default_rng(1).normal(0.0, error, (2000, 4))) * d
    found = [activation(temperatures, row, error * row) for row in draws]
    energies = np.array([f.activation_energy_kJ_mol for f in found])
    assert abs(energies.mean() - 8.0) < 4 * energies.std() / np.sqrt(len(energies))
    least = min(f.activation_energy_err_kJ_mol for f in found)
    assert energies.std() == pytest.approx(least, rel=0.06)
    # a curve is not what its errors say
    bent = activation(temperatures, d * [1.0, 1.5, 1.5, 1.0], 0.01 * d)
    assert bent.activation_energy_err_kJ_mol > 5 * least


def test_activation_energies_of_a_set_and_why_some_have_none():
    d = arrhenius([298.0, 400.0])

    def table(k, broken=""):
        rows = {
            "name": ["a", "bound", "broken"],
            "content_hash": ["11", "22", "33"],
            "status": ["ok", "ok", "failed" if broken else "ok"],
            "reason": ["", "", broken],
            "d_m2_s": d[k],
            "diffusive": [True, k == 1, True],
        }
        return pd.DataFrame(rows)

    found = activation_table({298.0: table(0), 400.0: table(1, "no parameters for Xx")})
    found = found.set_index("name")
    assert found["status"].to_dict() == {"a": "ok", "bound": "failed", "broken": "failed"}
    assert found.loc["broken", "reason"] == "no parameters for Xx"
    assert found.loc["bound", "reason"] == "a diffusivity at 1 of 2 temperatures; it takes two"
    label = labels.from_stages("activation_energy", found.reset_index())
    assert label["value"].to_list() == pytest.approx([8.0]) and set(label["unit"]) == {"kJ/mol"}


def from_file(rows, **told):
    told = {"column": "gap"} | told
    table = ForeignTable.of("my.csv", pd.DataFrame(rows))
    return labels.from_file("gap", table, STRUCTURES, **told)


def test_a_file_by_name_with_factor_and_logarithm():
    rows = {"mof": ["b", "a", "stranger", "copy_of_a"], "gap": [1.0, 10.0, 3.0, np.nan]}
    found = from_file(rows, key="mof", factor=100.0, transform="log10", unit="log10 of meV")
    assert labels.values_of(found, "gap").to_dict() == pytest.approx({"a": 3.0, "b": 2.0})
    assert set(found["unit"]) == {"log10 of meV"}


def test_a_file_by_content_names_every_copy():
    found = from_file({"content_hash": ["11"], "gap": [2.5]}, key="content_hash")
    assert labels.values_of(found, "gap").to_dict() == {"a": 2.5, "copy_of_a": 2.5}


@pytest.mark.parametrize(
    ("rows", "told", "message"),
    [
        ({"name": ["a"]}, {}, "my.csv: no column 'gap'"),
        ({"gap": [1.0]}, {}, "my.csv: no column 'name'"),
        ({"name": ["a", "a"], "gap": [1.0, 2.0]}, {}, "'a' stands twice"),
        ({"name": ["a"], "gap": ["much"]}, {}, "gap of a: 'much' is no number"),
        ({"name": ["a"], "gap": [0.0]}, {"transform": "log10"}, "gap of a has no log10"),
        ({"name": ["a.cif", "b"], "gap": [1.0, 2.0]}, {}, "'a.cif' seems to mean 'a'; write"),
        ({"name": ["broken", "x"], "gap": [1.0, 2.0]}, {}, "none of its 2 .* such as a, b"),
    ],
)
def test_bad_files_are_refused_with_the_reason(rows, told, message):
    with pytest.raises(DataError, match=message):
        from_file(rows, **told)
