import math

import numpy as np
import pandas as pd
import pytest

from poreflux.base.errors import ConfigError, DataError
from poreflux.base.foreign_tables import ForeignTable
from poreflux.data import labels

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
