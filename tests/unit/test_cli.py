"""The command line: help, exit codes, errors, one stage for CIF files, and its documentation."""

import inspect
import json
import os
import subprocess
import sys

import pandas as pd
import pytest
from typer.main import get_command

import poreflux.geometry
from poreflux.run import cli
from poreflux.run.cli import files as file_commands
from poreflux.run.cli import main
from poreflux.run.cli_docs import _flat
from poreflux.run.commands import files, show
from poreflux.run.settings import StudyConfig

COMMANDS = dict(_flat(get_command(cli.app)))
# A frame of carbon with room inside.
CIF = """\
data_frame
_cell_length_a 9.0
_cell_length_b 9.0
_cell_length_c 9.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
C1 C 0.0 0.0 0.0
C2 C 0.15 0.0 0.0
C3 C 0.0 0.15 0.0
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a CIF and a file that is none, and a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POREFLUX_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "good.cif").write_text(CIF)
    (tmp_path / "bad.cif").write_text("nothing of the kind\n")
    return tmp_path


def test_help_needs_none_of_the_libraries_of_the_science():
    code = (
        "import sys; from poreflux.run.cli import main; code = main(['--help']);"
        "heavy = {'torch', 'numba', 'pandas', 'numpy', 'scipy', 'matplotlib', 'pydantic'};"
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize("group", [[], ["store"]])
def test_groups_explain_themselves_with_examples(group, capsys):
    assert main([*group, "--help"]) == 0
    assert "Examples:" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(name, capsys):
    words = name.split()[1:]
    assert main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Examples:" in text and f"{name} " in text.replace("\n", " ")
    assert COMMANDS[name].help
    for parameter in COMMANDS[name].params:
        assert parameter.help, f"{name} {parameter.name}"


@pytest.mark.parametrize("stage", ["geometry", "energy", "percolation", "uptake", "diffusion"])
def test_defaults_of_the_options_are_those_of_the_settings(stage, monkeypatch):
    given = {}
    monkeypatch.setattr(
        file_commands, "_run", lambda _, f, o, settings, **out: given.update(settings)
    )
    command = getattr(file_commands, stage)
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(command).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    command(["a.cif"], **defaults)
    known = type(StudyConfig().settings_of(stage))()
    assert given and {key: getattr(known, key) for key in given} == given


def test_guests_in_the_help_are_those_of_the_library(root):
    words = file_commands.Guest.__metadata__[0].help.rstrip(".").replace(" or ", ", ")
    guests = (root / "workflow/poreflux/fields/parameters/guests").glob("*.json")
    assert set(words.split(", ")) == {path.stem for path in guests}


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"poreflux {poreflux.__version__}\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["geometri"], "geometry"),
        (["geometry", "a.cif", "--temperature", "300"], "--temperature"),
        (["uptake", "a.cif", "--pressures", "1;2"], "no list of numbers"),
        (["uptake", "a.cif", "--temperature", "warm"], "valid number"),
        (["store", "why", "name", "uptakes"], "none of geometry"),
    ],
)
def test_wrong_usage_ends_with_2(words, says, capsys):
    assert main(words) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["uptake", "good.cif", "--temperature", "-5"], "uptake.temperature_K must be above 0 K"),
        (["uptake", "good.cif", "--guest", "CH5"], "CH4"),
        (["uptake", "good.cif", "--set", "cutof_A=14"], "did you mean 'cutoff_A'"),
        (["uptake", "good.cif", "--set", "cutoff_A"], "KEY=VALUE"),
        (["uptake", "good.cif", "--set", "cutoff_A=["], "no YAML"),
        (["geometry", "good.cif", "--plot", "a.jpeg"], ".png"),
        (["geometry", "good.cif", "--plot", "nowhere/a.png"], "no folder nowhere"),
        (["geometry", "empty"], "holds no CIF files"),
        (["geometry", "good.cif", "--csv", "good.cif/a.csv"], "good.cif"),
        (["init", "good.cif"], "is a file"),
        (["run", "empty"], "holds no config.yaml"),
        (["export", "csv", "--configfile", "nix.yaml"], "nix.yaml"),
        (["export", "csv"], "poreflux run"),
        (["store", "prune"], "--older-than-days"),
    ],
)
def test_what_a_user_can_cause_ends_with_1_and_a_line(words, says, folder, capsys):
    (folder / "empty").mkdir()
    assert main(words) == 1
    text = capsys.readouterr().err
    assert says in text and "Traceback" not in text and "mistake of Poreflux" not in text


def test_a_mistake_of_ours_is_to_be_reported_and_traced_on_demand(monkeypatch, capsys):
    def broken(folder):
        raise KeyError("something")

    monkeypatch.setattr("poreflux.run.commands.init.init", broken)
    assert main(["init", "a"]) == 1
    text = capsys.readouterr().err
    assert "KeyError" in text and "report" in text and "Traceback" not in text
    assert main(["--debug", "init", "a"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (PermissionError(13, "Permission denied", "/a/b"), "/a/b: Permission denied"),
        (ModuleNotFoundError("No module named 'x'", name="x"), "package x is not installed"),
        (MemoryError(), "memory"),
    ],
)
def test_what_the_machine_lacks_is_no_mistake_of_ours(error, says, monkeypatch, capsys):
    def broken(folder):
        raise error

    monkeypatch.setattr("poreflux.run.commands.init.init", broken)
    assert main(["init", "a"]) == 1
    text = capsys.readouterr().err
    assert says in text and "mistake of Poreflux" not in text


def test_commands_and_options_are_completed():
    code = "import sys; from poreflux.run.cli import main; sys.exit(main())"
    for words, number, found in (("geo", "1", "geometry"), ("uptake --te", "2", "--temperature")):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False,
            env=os.environ | {
                "COMP_WORDS": f"poreflux {words}", "COMP_CWORD": number,
                "_POREFLUX_COMPLETE": "complete_bash",
            },
        )  # fmt: skip
        assert done.stdout.split() == [found]


def test_one_row_per_file_and_a_failed_one_with_its_reason(folder, capsys):
    words = ["good.cif", "bad.cif", "missing.cif", "--csv", "out.csv"]
    assert main(["geometry", *words]) == 1
    said = capsys.readouterr()
    table = pd.read_csv("out.csv").set_index("name")
    assert list(table.index) == ["good", "bad", "missing"]
    assert list(table["status"]) == ["ok", "failed", "failed"]
    assert "No such file" in table["reason"]["missing"]
    alone = poreflux.geometry.describe("good.cif")
    assert table["lcd_A"]["good"] == pytest.approx(alone.lcd_A)
    assert f"{alone.lcd_A:.4g}"[:4] in said.out and "No such file" in said.out
    # several files: progress, but no warning of what is in the table
    assert "3/3 structures" in said.err and "No such file" not in said.err


def test_csv_and_json_go_to_standard_output_alone(folder, capsys):
    assert main(["geometry", "good.cif", "--csv", "-"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("name,file,content_hash,status") and text.count("\n") == 2
    # from the store: the same again
    assert main(["geometry", "good.cif", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["name"] == "good" and row["lcd_A"] == poreflux.geometry.describe("good.cif").lcd_A


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_histogram_is_drawn(folder, ending):
    assert main(["energy", "good.cif", "--plot", f"a.{ending}"]) == 0
    start = (folder / f"a.{ending}").read_bytes()[:5]
    assert start == (b"\x89PNG\r" if ending == "png" else b"<?xml")


def test_results_are_kept_in_the_store_and_taken_from_it(folder, monkeypatch):
    assert main(["energy", "good.cif"]) == 0
    entries = list((folder / ".poreflux/store/objects/energy").rglob("*.*"))
    assert len(entries) == 1
    monkeypatch.setattr("poreflux.energy.compute", None)
    assert main(["energy", "good.cif"]) == 0


def test_a_store_that_cannot_be_written_is_done_without(folder, monkeypatch, capsys):
    monkeypatch.setenv("POREFLUX_STORE", str(folder / "good.cif" / "store"))
    assert main(["energy", "good.cif"]) == 0
    assert "cannot be written" in capsys.readouterr().err
    # unless it was asked for
    assert main(["energy", "good.cif", "--store", "good.cif/store"]) == 1


def test_files_of_one_name_go_by_their_paths(folder):
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "mof.cif").write_text(CIF)
    found = files.members_of(["a", "b/mof.cif", "good.cif"])
    assert found == {"a/mof.cif": "a/mof.cif", "b/mof.cif": "b/mof.cif", "good": "good.cif"}


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        # an error has one digit, two where the first is a 1, as is the custom in physics
        (2.3147, 0.042, "2.31 ± 0.04"),
        (2.3147, 0.0142, "2.315 ± 0.014"),
        (133.42, 1.26, "133.4 ± 1.3"),
        (1.2345e-9, 6.1e-11, "(1.23 ± 0.06)e-09"),
        (-0.5, 0.02, "-0.50 ± 0.02"),
        (12345.6, 320.0, "12346 ± 320"),
        (0.99996, 0.0004, "1.0000 ± 0.0004"),
        (12.3, 0.0, "12.3"),
        (12.3, float("nan"), "12.3"),
        (0.0, 0.1, "0"),
    ],
)
def test_a_number_is_rounded_to_its_error(value, error, text):
    assert show.with_error(value, error) == text


def test_uptakes_stand_side_by_side_where_they_fit(capsys, monkeypatch):
    rows = [
        {"name": name, "status": "ok", "reason": "", "pressure_bar": p, "uptake_mol_kg": p / 10,
         "uptake_err_mol_kg": 0.01, "uptake_cm3stp_cm3": p, "uptake_err_cm3stp_cm3": 0.1}
        for name in ("a", "b") for p in (1.0, 65.0)
    ]  # fmt: skip
    settings = StudyConfig().settings_of("uptake")
    show.print_table("uptake", pd.DataFrame(rows), settings)
    text = capsys.readouterr().out
    assert "65 bar" in text and sum("│" in line for line in text.splitlines()) == 2
    many = [row | {"pressure_bar": float(p)} for row in rows for p in range(30)]
    show.print_table("uptake", pd.DataFrame(many).drop_duplicates(), settings)
    text = capsys.readouterr().out
    assert "29 bar" not in text and "pressure" in text
