"""What a user's Python sees: names, structures from ASE and pymatgen, parameters, results."""

import ast
import dataclasses
import doctest
import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import ase
import ase.io
import matplotlib
import numpy as np
import pandas as pd
import pymatgen.core
import pymatgen.core as mg
import pytest
from scipy.spatial.transform import Rotation

import poreflux
from poreflux.base.display import html, rounded
from poreflux.base.endings import UNITS, unit
from poreflux.base.errors import ConfigError, StructureError, StructureWarning
from poreflux.diffusion.settings import DiffusionSettings
from poreflux.energy.settings import EnergySettings
from poreflux.geometry.settings import GeometrySettings
from poreflux.percolation.settings import PercolationSettings
from poreflux.run.commands import pictures
from poreflux.run.settings import StudyConfig
from poreflux.run.stages import run_stage
from poreflux.store import Store
from poreflux.structures.crystal import Structure, make_structure
from poreflux.uptake.settings import UptakeSettings
from poreflux.uptake.stage import Isotherm

matplotlib.use("Agg")

# Entry points, and the settings that their parameters are.
FUNCTIONS = {
    "pore_geometry": GeometrySettings,
    "energy_histogram": EnergySettings,
    "percolation_energies": PercolationSettings,
    "isotherm": UptakeSettings,
    "self_diffusivity": DiffusionSettings,
}
# So that each takes little time.
SHORT = {
    "pore_geometry": {"asa_samples_per_atom": 50, "void_samples": 500},
    "energy_histogram": {"bins": 20},
    "percolation_energies": {"spacing_A": 0.5},
    "isotherm": {"pressures_bar": [1.0, 20.0], "target_error": 0.1, "equilibration_steps": 1000},
    "self_diffusivity": {"target_error": 0.5, "guest": "Xe", "timestep_fs": 5.0},
}


@pytest.fixture(scope="module")
def small() -> Structure:
    """Metal atoms on a skewed lattice, with -O-C-C-O- along each edge: channels all over."""
    species, frac = ["Zn"], [[0.0, 0.0, 0.0]]
    for axis in range(3):
        for place, element in ((0.25, "O"), (0.42, "C"), (0.58, "C"), (0.75, "O")):
            species.append(element)
            frac.append(np.eye(3)[axis] * place)
    return make_structure((8.5, 8.6, 8.7), (85.0, 92.0, 95.0), species, frac)


@pytest.fixture(scope="module")
def cif(small, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("api") / "mof.cif"
    path.write_text(small.to_cif(order=small.listed))
    return path


@pytest.fixture(scope="module")
def results(small) -> dict:
    """What each function finds for the small structure."""
    return {name: getattr(poreflux, name)(small, **SHORT[name]) for name in FUNCTIONS}


# --- the names --------------------------------------------------------------------------------


def test_the_import_loads_nothing_heavy():
    code = "import sys, poreflux; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "numba", "numpy", "pandas", "gemmi", "scipy", "matplotlib", "ase",
                         "pymatgen", "pydantic"}  # fmt: skip


def test_every_name_is_there_and_known_to_type_checkers(root):
    package = root / "workflow" / "poreflux"
    tree = ast.parse((package / "__init__.py").read_text())
    typed = next(n for n in tree.body if isinstance(n, ast.If))
    assert ast.unparse(typed.test) == "TYPE_CHECKING"
    places = {a.name: n.module for n in typed.body for a in n.names}
    assert places == {name: f"poreflux.{place}" for name, place in poreflux._PLACES.items()}
    assert sorted(places) == sorted(poreflux.__all__)
    assert set(poreflux.__all__) <= set(dir(poreflux))
    for name in poreflux.__all__:
        assert getattr(poreflux, name).__name__ == name
    assert (package / "py.typed").is_file()
    assert '"py.typed"' in (root / "pyproject.toml").read_text()


def test_every_entry_point_has_hints_and_says_what_its_parameters_mean():
    functions = [f for n in poreflux.__all__ if inspect.isfunction(f := getattr(poreflux, n))]
    assert {poreflux.transfer, poreflux.predict, poreflux.isotherm} <= set(functions)
    for function in functions:
        text = inspect.getdoc(function)
        for name, parameter in inspect.signature(function).parameters.items():
            assert parameter.annotation is not parameter.empty, (function, name)
            assert re.search(rf"^(\w+, )*{name}(, \w+)* : ", text, re.MULTILINE), (function, name)


def test_a_wrong_name_is_told_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'self_diffusivity'"):
        _ = poreflux.self_difusivity
    assert not hasattr(poreflux, "no_such_thing_at_all")
    # a room needs no import of its own
    code = "import poreflux; poreflux.diffusion.self_diffusivity; poreflux.energy.histogram"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_example_of_the_package_runs(cif, monkeypatch):
    monkeypatch.chdir(cif.parent)
    ran = doctest.testmod(poreflux)
    assert ran.attempted >= 6
    assert ran.failed == 0


@pytest.mark.filterwarnings("ignore::poreflux.base.errors.StructureWarning")
def test_the_examples_of_the_page_run(root, cif, monkeypatch):
    """Blocks follow one another, as in a notebook."""
    monkeypatch.chdir(cif.parent)
    page = (root / "docs" / "api.md").read_text()
    names = {}
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    for block in blocks:
        exec(compile(block, "docs/api.md", "exec"), names)
    assert len(blocks) > 5


# --- structures from elsewhere ------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_ase_and_pymatgen_read_the_same_structures_as_we_do(cifs):
    """Their readers and cells are their own; the content is the same to its last digit."""
    paths = sorted(cifs.glob("*.cif"))
    assert len(paths) > 5
    for path in paths:
        ours = Structure.from_cif(path)
        theirs = Structure.from_ase(ase.io.read(path))
        assert theirs.content_hash == ours.content_hash
        assert list(theirs.listed) == list(ours.listed)
        found = mg.Structure.from_file(path)
        assert Structure.from_pymatgen(found).content_hash == ours.content_hash


@pytest.mark.parametrize("kind", ["ase", "pymatgen"])
def test_there_and_back_keeps_everything(small, kind):
    there = getattr(small, f"to_{kind}")()
    back = getattr(Structure, f"from_{kind}")(there)
    assert back.content_hash == small.content_hash
    # and the order of the atoms, which Zeo++ looks at
    assert list(back.listed) == list(small.listed)
    symbols = there.get_chemical_symbols() if kind == "ase" else [s.specie.symbol for s in there]
    assert symbols[:3] == ["Zn", "O", "C"]


def test_positions_arrive_in_the_ecosystem(small):
    atoms, crystal = small.to_ase(), small.to_pymatgen()
    assert atoms.pbc.all()
    np.testing.assert_allclose(atoms.cell.cellpar(), [*small.lengths_A, *small.angles_deg])
    np.testing.assert_allclose(crystal.lattice.parameters, atoms.cell.cellpar())
    expected = small.cart[small.listed]
    np.testing.assert_allclose(atoms.positions, expected, atol=1e-12)
    np.testing.assert_allclose(crystal.cart_coords, expected, atol=1e-12)
    assert atoms.get_volume() == pytest.approx(small.volume_A3)


def test_an_orientation_is_no_property_of_a_crystal(small, results):
    turn = Rotation.from_euler("xyz", [0.3, -1.1, 2.0]).as_matrix()
    lattice = mg.Lattice(small.cell @ turn.T)
    turned = mg.Structure(lattice, small.species, small.frac)
    assert Structure.from_pymatgen(turned).content_hash == small.content_hash
    found = poreflux.percolation_energies(turned, **SHORT["percolation_energies"])
    assert found == results["percolation_energies"]
    atoms = small.to_ase()
    atoms.rotate(40, "x", rotate_cell=True)
    assert Structure.from_ase(atoms).content_hash == small.content_hash


@pytest.mark.parametrize("kind", ["ase", "pymatgen"])
def test_left_handed_lattice_vectors_do_not_mirror_the_crystal(kind):
    """The same right-handed atoms in a lattice whose vectors are listed in another order."""
    cart = np.array([[1.0, 1, 1], [2.5, 1.2, 1.1], [1.3, 2.9, 1.4], [1.6, 1.5, 3.2]])
    vectors = np.array([[9.0, 0, 0], [1, 10.0, 0], [0.5, 1, 11.0]])[[1, 0, 2]]
    assert np.linalg.det(vectors) < 0
    symbols = ["C", "N", "O", "F"]
    if kind == "ase":
        given = ase.Atoms(symbols, positions=cart, cell=vectors, pbc=True)
    else:
        given = mg.Structure(mg.Lattice(vectors), symbols, cart, coords_are_cartesian=True)
    found = poreflux.as_structure(given)

    def handedness(places):
        return np.linalg.det(places[1:] - places[0])

    # the sorted species are C, F, N, O
    frac = found.frac[[found.species.index(s) for s in symbols]]
    bonds = frac - frac[0]
    bonds = (bonds - np.round(bonds)) @ found.cell
    assert np.linalg.det(bonds[1:]) == pytest.approx(handedness(cart), rel=1e-6)


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_every_entry_point_takes_every_kind_of_structure(small, cif, results, name):
    """Bits and all: the canonical form is the same."""
    for each in (str(cif), small.to_ase(), small.to_pymatgen()):
        found = getattr(poreflux, name)(each, **SHORT[name])
        pd.testing.assert_frame_equal(found.to_frame(), results[name].to_frame(), check_exact=True)


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_settings_give_the_same_as_parameters(cif, small, results, name):
    room = sys.modules[getattr(poreflux, name).__module__]
    settings = FUNCTIONS[name](**SHORT[name])
    expected = results[name].to_frame()
    pd.testing.assert_frame_equal(room.from_cif(cif, settings).to_frame(), expected)
    other = room.from_cif(small, FUNCTIONS[name](), **SHORT[name])
    pd.testing.assert_frame_equal(other.to_frame(), expected)


def test_a_prediction_is_the_same_of_every_kind_of_structure(small, cif):
    found = poreflux.predict(cif)
    assert found.status == "ok" and found.d_low_m2_s < found.d_m2_s < found.d_high_m2_s
    for given in (small, small.to_ase(), small.to_pymatgen()):
        assert poreflux.predict(given, name="mof") == found
    assert list(found.to_frame()["name"]) == ["mof"]
    assert "<td>m²/s</td>" in found._repr_html_()
    assert found.plot().get_yscale() == "log"


def atoms(symbols="ZnO", positions=((0, 0, 0), (2, 0, 0)), cell=(8, 8, 8), pbc=True, **more):
    return ase.Atoms(symbols, positions=positions, cell=cell, pbc=pbc, **more)


def crystal(species=("Zn", "O"), frac=((0, 0, 0), (0.3, 0, 0)), lattice=None):
    return mg.Structure(lattice or mg.Lattice.cubic(8.0), species, frac)


def shared():
    given = atoms()
    given.info["occupancy"] = {"0": {"Zn": 0.5, "Cu": 0.5}, "1": {"O": 1.0}}
    given.arrays["spacegroup_kinds"] = np.array([0, 1])
    return given


def partly():
    given = shared()
    given.info["occupancy"] = {"0": {"Zn": 0.7}, "1": {"O": 1.0}}
    return given


UNUSABLE = {
    "no pbc": (lambda: atoms(pbc=False), r"ase.Atoms OZn: not periodic .* atoms.pbc = True"),
    "slab": (lambda: atoms(pbc=(True, True, False)), r"pbc is \[True, True, False\]"),
    "no cell": (lambda: atoms(cell=None), "lattice vectors a, b, c are zero"),
    "one zero vector": (lambda: atoms(cell=(8, 8, 0)), "lattice vectors c are zero"),
    "flat cell": (lambda: atoms(cell=[[8, 0, 0], [0, 8, 0], [4, 4, 0]]), "enclose no volume"),
    "thin cell": (lambda: atoms(cell=(8, 8, 0.5)), "collapsed"),
    "no finite cell": (lambda: atoms(cell=(8, 8, np.inf)), "not finite"),
    "dummy": (lambda: atoms("ZnX"), r"unknown element 'X' \(atom 1\)"),
    "not a number": (lambda: atoms(positions=[[0, 0, 0], [np.nan, 0, 0]]), "not a number"),
    "empty": (lambda: atoms("", []), "no atoms"),
    "on one site": (lambda: atoms(positions=[[0, 0, 0], [0.01, 0, 0]]), "disordered: .* one site"),
    "shared site": (shared, "disordered: a site holds Zn0.5 Cu0.5"),
    "partly there": (partly, "disordered: a site holds Zn0.7"),
    "mixed": (lambda: crystal([{"Zn": 0.5, "Cu": 0.5}, "O"]), "disordered: a site holds Zn.*0.5"),
    "partial": (lambda: crystal([{"Zn": 0.7}, "O"]), "disordered: a site holds Zn.*0.7"),
    "dummy species": (lambda: crystal([mg.DummySpecies("X"), "O"]), "unknown element 'X'"),
    "molecule": (lambda: mg.Molecule("C", [[0, 0, 0]]), "Molecule C1: a molecule is no crystal"),
    "not periodic": (
        lambda: crystal(lattice=mg.Lattice(np.eye(3) * 8, pbc=(True, True, False))),
        "not periodic",
    ),
    "no such file": (lambda: "no/such file.cif", "no/such file.cif: cannot be read"),
    "a folder": (lambda: Path("/"), "/: cannot be read: not a file"),
    "text of a file": (lambda: "data_x\n_cell_length_a 8", "text of a CIF"),
}  # fmt: skip


@pytest.mark.parametrize("given", list(UNUSABLE))
def test_what_is_no_crystal_says_so(given):
    make, reason = UNUSABLE[given]
    with pytest.raises(StructureError, match=reason):
        poreflux.pore_geometry(make())


@pytest.mark.parametrize("given", [42, None, b"data_x", {"cif": "x"}, [ase.Atoms("C")]])
def test_what_is_no_structure_says_what_one_is(given):
    with pytest.raises(TypeError, match=r"path of a CIF, a poreflux.Structure, ase.Atoms or"):
        poreflux.pore_geometry(given)


def test_charges_and_isotopes_are_left_out():
    species = [mg.Species("Zn", 2), mg.Species("O", -2), mg.Element("D")]
    given = crystal(species, [[0, 0, 0], [0.3, 0, 0], [0.4, 0.1, 0]])
    assert poreflux.as_structure(given).species == ("H", "O", "Zn")


def test_what_was_done_to_the_atoms_is_no_secret(small, tmp_path):
    twice = atoms("ZnOO", [[0, 0, 0], [2, 0, 0], [2.01, 0, 0]])
    with pytest.warns(StructureWarning, match="merged"):
        assert poreflux.as_structure(twice).n_atoms == 2
    path = tmp_path / "two.cif"
    path.write_text(small.to_cif("one") + small.to_cif("two"))
    with pytest.warns(StructureWarning, match=r"two\.cif: several_structures"):
        Structure.from_cif(path)
    assert "no_metal" in Structure.from_ase(atoms("CO")).check()


def test_a_structure_shows_itself_in_a_line(small):
    assert repr(small).startswith("<Structure C6 O6 Zn: 13 atoms, 8.5, 8.6, 8.7 Å")


# --- parameters -------------------------------------------------------------------------------


def parameters_of(name):
    found = inspect.signature(getattr(poreflux, name)).parameters
    return {k: p for k, p in found.items() if k not in ("structure", "keep_dir")}


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_signatures_are_those_of_the_settings(name):
    fields, parameters = FUNCTIONS[name].model_fields, parameters_of(name)
    assert set(parameters) == set(fields)
    names = {"ase": ase, "pymatgen": pymatgen}
    hints = typing.get_type_hints(getattr(poreflux, name), localns=names)
    for key, parameter in parameters.items():
        assert (parameter.kind is parameter.KEYWORD_ONLY) == (key != "pressures_bar")
        assert parameter.default == fields[key].default
        assert type(parameter.default) is type(fields[key].default)
        plain = fields[key].annotation
        if plain in (int, float, bool) or typing.get_origin(plain) is typing.Literal:
            assert hints[key] == plain
    # what each means is in the help
    text = inspect.getdoc(getattr(poreflux, name))
    for key, field in fields.items():
        assert f"\n{key} : default " in text
        assert field.description.split()[0] in text
    first = next(iter(parameters))
    assert text.index("Parameters\n---") < text.index(f"\n{first} :") < text.index("Returns\n---")


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_a_wrong_parameter_is_named_with_its_range(cif, name):
    function = getattr(poreflux, name)
    room = FUNCTIONS[name].block
    for wrong, says in {
        "temperature_K": rf"{room}.temperature_K must be above 0 K, got -5",
        "cutoff_A": rf"{room}.cutoff_A must be at least 5 Å, got -5",
        "asa_probe_A": r"geometry.asa_probe_A must be above 0 Å, got -5",
    }.items():
        if wrong in FUNCTIONS[name].model_fields:
            with pytest.raises(ConfigError, match=says):
                function(cif, **{wrong: -5})


@pytest.mark.parametrize(
    ("name", "wrong", "meant"),
    [
        ("self_diffusivity", "temperature", "temperature_K"),
        ("self_diffusivity", "temp", "temperature_K"),
        ("self_diffusivity", "Temperature_k", "temperature_K"),
        ("isotherm", "pressure", "pressures_bar"),
        ("isotherm", "Guest", "guest"),
        ("energy_histogram", "n_bins", "bins"),
        ("pore_geometry", "void_probe", "void_probe_A"),
        ("percolation_energies", "cutoff", "cutoff_A"),
        ("predict", "guests", "guest"),
        ("transfer", "labels_of", "labels"),
    ],
)
def test_a_name_that_does_not_exist_is_told_the_nearest(name, wrong, meant):
    # before the file is looked at
    with pytest.raises(
        ConfigError, match=rf"{name}\(\) has no parameter '{wrong}'; did you mean {meant}\?"
    ):
        getattr(poreflux, name)("no such file.cif", **{wrong: 300})


def test_so_is_that_of_a_function_that_takes_settings(small):
    with pytest.raises(ConfigError, match=r"settings=DiffusionSettings\(temperature_K=\.\.\.\)"):
        poreflux.diffusion.compute(small, temperature=300)
    with pytest.raises(ConfigError, match="did you mean 'temperature_K'"):
        poreflux.diffusion.from_cif(small, temperature=300)
    with pytest.raises(ConfigError, match=r"'temperature_K'\. It takes structure, guest"):
        poreflux.predict(small, temperature_K=300.0)
    with pytest.raises(ConfigError, match="by name: guest, temperature_K"):
        poreflux.self_diffusivity(small, 300)
    with pytest.raises(TypeError, match="structure"):
        poreflux.self_diffusivity(temperature_K=300.0)


def test_numbers_of_numpy_are_numbers(small, results):
    settings = SHORT["isotherm"]
    pressures = np.array(settings["pressures_bar"])
    for given in (pressures, pd.Series(pressures), pressures.astype(np.float32)):
        found = poreflux.isotherm(
            small, given, target_error=np.float32(0.125), equilibration_steps=np.int32(1000)
        )
        assert list(found.pressures_bar) == [1.0, 20.0]
    alone = poreflux.isotherm(small, 20.0, **{k: settings[k] for k in ("target_error",)})
    assert len(alone) == 1
    assert poreflux.pore_geometry(small, high_accuracy=np.True_).lcd_A == pytest.approx(
        results["pore_geometry"].lcd_A
    )


# --- results ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_frames_are_the_rows_of_the_tables(small, results, tmp_path, name):
    """What the workflow makes of the same structure, but for name, content, status and reason."""
    row = {"name": "small", "content_hash": small.content_hash, "status": "ok", "reason": "",
           "lengths_A": small.lengths_A, "angles_deg": small.angles_deg, "species": small.species,
           "frac": small.frac.ravel(), "listed": small.listed}  # fmt: skip
    settings = FUNCTIONS[name](**SHORT[name])
    if hasattr(settings, "device"):
        settings = settings.changed(device="cpu")
    table = run_stage(settings.block, pd.DataFrame([row]), settings, store=Store(tmp_path))
    pd.testing.assert_frame_equal(table.iloc[:, 4:], results[name].to_frame())


def test_an_isotherm_is_a_sequence_of_its_points(results):
    found = results["isotherm"]
    assert isinstance(found, Isotherm)
    assert len(found) == 2
    assert found[0].pressure_bar == 1.0
    assert [p.uptake_mol_kg for p in found] == list(found.uptake_mol_kg)
    assert isinstance(found[::-1], Isotherm)
    assert list(found[::-1].pressures_bar) == [20.0, 1.0]
    # absolute uptake rises with the pressure
    assert found.uptake_mol_kg[1] > found.uptake_mol_kg[0] > 0
    assert "mol/kg" in repr(found)


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_results_draw_themselves(results, name):
    axes = results[name].plot()
    assert isinstance(axes, matplotlib.axes.Axes)
    # one axis at least has a unit
    assert re.search(r"\((Å|K|bar|ps|mol/kg)\)", axes.get_xlabel() + axes.get_ylabel())
    _, own = matplotlib.pyplot.subplots()
    assert results[name].plot(own) is own
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_the_command_line_draws_what_a_result_draws(results, name, tmp_path, monkeypatch):
    """Of one structure; the command line names it and the guest."""
    stage = type(results[name]).__module__.split(".")[1]
    table = results[name].to_frame().assign(name="mof")
    drawn = []
    monkeypatch.setattr(matplotlib.pyplot, "close", drawn.append)
    pictures.draw(stage, table, StudyConfig().settings_of(stage), tmp_path / "a.svg")
    (figure,) = drawn
    ours, theirs = figure.axes[0], results[name].plot()
    assert (tmp_path / "a.svg").exists()
    for kind in ("lines", "patches", "collections"):
        one, other = (list(getattr(axes, kind)) for axes in (ours, theirs))
        assert [type(x) for x in one] == [type(x) for x in other]
    for one, other in zip(ours.lines, theirs.lines, strict=True):
        np.testing.assert_array_equal(one.get_xydata(), other.get_xydata())


def test_what_is_drawn_is_what_was_found(results):
    axes = results["isotherm"].plot()
    (line, _, _) = axes.containers[0]
    np.testing.assert_array_equal(line.get_ydata(), results["isotherm"].uptake_mol_kg)
    d = results["self_diffusivity"]
    curve = d.plot().get_lines()[0]
    assert (curve.get_xdata()[-1], curve.get_ydata()[-1]) == (d.time_ps, d.d_m2_s)
    steps = results["energy_histogram"].plot().patches[0].get_data()
    assert steps.edges[0] == -4000.0 and steps.edges[-1] == 5000.0
    assert steps.values.sum() == pytest.approx(1.0)
    matplotlib.pyplot.close("all")


def test_notebooks_show_values_as_far_as_they_are_known(results):
    d = results["self_diffusivity"]
    text = d._repr_html_()
    assert f"<td>d_m2_s</td><td>{rounded(d.d_m2_s, d.d_err_m2_s)}</td><td>m²/s</td>" in text
    assert "d_err_m2_s" not in text
    assert "nan" not in text
    isotherm = results["isotherm"]._repr_html_()
    assert "<th>uptake_mol_kg (mol/kg)</th>" in isotherm
    assert isotherm.count("<tr>") == 3
    for name in FUNCTIONS:
        assert results[name]._repr_html_().startswith("<table>")


def test_text_of_a_result_is_no_html(results):
    strange = dataclasses.replace(results["self_diffusivity"], note="D < 1e-15 & no channel")
    assert "D &lt; 1e-15 &amp; no channel" in html(strange)


def test_every_number_has_a_unit_or_none(results):
    """A column whose unit the name does not tell has none."""
    without = {"void_fraction", "msd_loglog_slope", "pocket_share", "accessible_fraction"}
    without |= {f"mobility{i}" for i in ("", "_1", "_2", "_3")}
    without |= {f"participation{i}" for i in ("", "_channels", "_dissipation")}
    for name in FUNCTIONS:
        for column, values in results[name].to_frame().items():
            if values.dtype == float and not re.fullmatch(r"h\d\d", column):
                assert bool(unit(column)) != (column in without), column
    assert unit("uptake_err_mol_kg") == "mol/kg" and unit("henry_mol_kg_bar") == "mol/(kg bar)"
    assert len(set(UNITS.values())) == len(UNITS)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        # CODATA 2018: the constant of gravitation and the mass of the electron
        (6.67430e-11, 0.00015e-11, "6.67430(15) × 10⁻¹¹"),
        (9.1093837015e-31, 0.0000000028e-31, "9.1093837015(28) × 10⁻³¹"),
        # the examples of the Particle Data Group's rounding rules
        (0.827, 0.119, "0.83(12)"),
        (0.827, 0.367, "0.8(4)"),
        (0.827, 0.0096, "0.827(10)"),
        (1234.0, 51.0, "1230(50)"),
        (-20.4, 0.6, "-20.4(6)"),
        (0.0, 0.2, "0.00(20)"),
        (2e-13, 5e-12, "0(5) × 10⁻¹²"),
        (9.999e-9, 4e-11, "1.000(4) × 10⁻⁸"),
        (3.14159, None, "3.142"),
        (0.0, None, "0"),
        (1.5e-9, 0.0, "1.500 × 10⁻⁹"),
        (float("nan"), None, "–"),
    ],
)
def test_rounding(value, error, text):
    assert rounded(value, error) == text
