"""The command ``predict``: what it prints and writes, and its exit codes."""

import json

import pandas as pd
import pytest
from test_prediction import member, table  # noqa: F401  (fixtures)

from poreflux.run.cli import main


@pytest.fixture
def run(capsys, monkeypatch):
    """Exit code, standard output and error of a command."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(*words):
        code = main(["predict", *map(str, words)])
        return code, *capsys.readouterr()

    return command


def test_one_structure_in_words_and_as_json(run, member):  # noqa: F811
    name, path = member
    code, out, _ = run(path, "--card")
    assert code == 0
    for words in ("D, predicted", "90 %", "298 K", f"learnt from: {name}", "Å", "mol/kg/bar"):
        assert words in out
    code, out, _ = run(path, "--json")
    (row,) = json.loads(out)
    assert code == 0 and row["trained_on"] == name
    assert row["d_low_m2_s"] < row["d_m2_s"] < row["d_high_m2_s"]
    assert "simulated_d_m2_s" not in row


def test_many_files_a_table_and_a_failed_one_is_told(run, member, tmp_path):  # noqa: F811
    _, path = member
    others = []
    for i in range(3):
        copy = tmp_path / f"copy{i}.cif"
        copy.write_bytes(path.read_bytes())
        others.append(copy)
    csv = tmp_path / "predictions.csv"
    code, out, _ = run(path, *others, tmp_path / "gone.cif", "--csv", csv)
    assert code == 1 and "gone" in out and "No such file" in out
    rows = pd.read_csv(csv).set_index("name")
    assert rows["status"].value_counts().to_dict() == {"ok": 4, "failed": 1}
    # a structure's prediction does not depend on its name or company
    assert rows.loc[["mine", "copy0", "copy1", "copy2"], "d_m2_s"].nunique() == 1


def test_a_guest_without_a_model_is_told_without_a_traceback(run, member):  # noqa: F811
    code, out, err = run(member[1], "--guest", "CO2")
    assert (code, out) == (1, "") and err.startswith("poreflux: no model ships for guest 'CO2'")
