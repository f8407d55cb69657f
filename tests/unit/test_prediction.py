"""What ships with the package: the data set, and predictions from the models trained on it."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from poreflux import percolation, prediction
from poreflux.base.errors import ConfigError
from poreflux.prediction import predict, shipped
from poreflux.structures import packages
from poreflux.structures.cif import read_cif

PUBLISHED = "lim-kim-2022/core2019_self_diffusivity.csv.gz"


@pytest.fixture(scope="module")
def table():
    return shipped.dataset()


def written(folder: Path, name: str, edge_A: float, element: str, places) -> Path:
    """A CIF of a cubic crystal of one element."""
    atoms = "\n".join(f"{element}{i} {element} {x} {y} {z}" for i, (x, y, z) in enumerate(places))
    edges = "\n".join(f"_cell_length_{axis} {edge_A}" for axis in "abc")
    angles = "\n".join(f"_cell_angle_{angle} 90" for angle in ("alpha", "beta", "gamma"))
    tags = ["label", "type_symbol", "fract_x", "fract_y", "fract_z"]
    loop = "loop_\n" + "\n".join(f"_atom_site_{tag}" for tag in tags)
    path = folder / f"{name}.cif"
    path.write_text(f"data_{name}\n{edges}\n{angles}\n{loop}\n{atoms}\n")
    return path


@pytest.fixture(scope="module")
def member(table, tmp_path_factory):
    """The CIF of a small structure of the data set."""
    small = table[table["CH4_d_m2_s"].between(1e-10, 1e-7)].nsmallest(1, "n_atoms")
    name = small.index[0]
    path = tmp_path_factory.mktemp("cif") / "mine.cif"
    path.write_bytes(dict(packages.core_mof_cifs("2019-ASR", [name]))[name])
    return name, path


def test_the_data_set_keeps_the_laws(table):
    assert table.index.is_unique and (table["CH4_dimensionality"] > 0).all()
    assert (table["lcd_A"] >= table["pld_A"]).all()
    found = table[table["CH4_diffusive"]]
    assert (found["CH4_d_m2_s"] > 0.0).all()
    assert (found["CH4_d_err_m2_s"] <= 0.3 * found["CH4_d_m2_s"]).all()
    # D is a third of the tensor's trace
    principal = found[[f"CH4_d_{i}_m2_s" for i in (1, 2, 3)]]
    np.testing.assert_allclose(principal.mean(axis=1), found["CH4_d_m2_s"], rtol=1e-4)
    # an isotherm rises, by more than its errors allow for
    pressures = ("1bar", "5.8bar", "35bar", "65bar")
    uptake = table[[f"CH4_uptake_{p}_mol_kg" for p in pressures]].to_numpy()
    errors = table[[f"CH4_uptake_{p}_err_mol_kg" for p in pressures]].to_numpy()
    slack = 5.0 * np.hypot(errors[:, 1:], errors[:, :-1])
    assert (np.diff(uptake, axis=1) > -slack).all()
    # energies of percolation come in order, and the least energy lies below them
    assert (table["CH4_e_perc_1_K"] <= table["CH4_e_perc_2_K"]).all()
    assert (table["CH4_e_min_K"] <= table["CH4_e_perc_1_K"]).all()


def test_the_data_set_agrees_with_published_diffusivities(table):
    reference = Path(os.environ.get("POREFLUX_REFERENCE_DATA", "../shared/data")) / PUBLISHED
    if not reference.is_file():
        pytest.skip(f"{reference} is not there: set POREFLUX_REFERENCE_DATA")
    published = 1e-8 * pd.read_csv(reference, index_col=0).iloc[:, 0]
    both = table.index.intersection(published.index[published > 1e-10])
    assert len(both) > 10
    away = np.log10(table.loc[both, "CH4_d_m2_s"] / published[both])
    # published runs are short: their own errors are about a fifth
    assert away.abs().median() < 0.2 and abs(away.median()) < 0.1


def test_every_column_and_model_is_described(table):
    text = shipped.describe()
    for column in table.columns:
        assert f"`{column}`" in text or column.startswith("h"), column
    card = prediction.card()
    assert card["structures"] == len(table) and str(len(table)) in text
    for guest in prediction.guests():
        held_out = card["models"][guest]["held_out"]
        assert 0.0 < held_out["rmse_decades"] < 0.5
        assert 0.8 <= held_out["coverage_of_90_percent"] <= 0.97


def test_a_structure_of_the_data_set_is_known_by_its_content(table, member):
    name, path = member
    found = predict(path, simulate=True)
    assert (found.name, found.status, found.trained_on) == ("mine", "ok", name)
    assert found.in_domain and found.nearest == name
    assert found.d_low_m2_s < found.d_m2_s < found.d_high_m2_s
    known = table.loc[name]
    # the same engine and another seed: within the errors
    error = np.hypot(known["CH4_d_err_m2_s"], found.simulated_d_err_m2_s)
    assert abs(found.simulated_d_m2_s - known["CH4_d_m2_s"]) < 4.0 * error
    assert abs(np.log10(found.d_m2_s / known["CH4_d_m2_s"])) < 4.0 * found.log10_d_std
    landscape = percolation.compute(read_cif(path))
    assert found.henry_mol_kg_bar == landscape.henry_mol_kg_bar
    # a structure already read is the same
    again = predict(read_cif(path), name="mine")
    assert (again.d_m2_s, again.nearest) == (found.d_m2_s, found.nearest)


def test_no_channel_no_diffusivity(tmp_path):
    """Copper: nothing passes, and no number pretends to be D."""
    path = written(
        tmp_path, "copper", 3.61, "Cu", [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    )
    found = predict(path)
    assert found.status in ("closed", "failed") and np.isnan(found.d_m2_s)
    assert found.status == "failed" or "does not get through" in found.note


def test_what_the_model_has_not_seen_is_out_of_its_domain(tmp_path):
    """A gas of single carbons far apart: free flight, like no framework."""
    found = predict(written(tmp_path, "empty", 40.0, "C", [(0, 0, 0)]))
    assert found.status == "ok" and not found.in_domain and "simulate" in found.note


def test_bad_input_is_a_row_and_a_bad_guest_an_error(tmp_path):
    path = tmp_path / "broken.cif"
    path.write_text("data_x\n_cell_length_a 10\n")
    found = predict(path)
    assert found.status == "failed" and found.reason and np.isnan(found.d_m2_s)
    assert predict(tmp_path / "nowhere.cif").status == "failed"
    with pytest.raises(ConfigError, match=r"'CO2'; there are: CH4.*diffusion --guest CO2"):
        predict(path, guest="CO2")
