"""The synthesis target from two tables to the page, and what reruns when a table changes."""

import pandas as pd
import pytest
import yaml

from poreflux.synthesis import TABLES

pytestmark = pytest.mark.e2e
SMALL = {
    "structure": {"max_depths": [2], "max_trees": 20, "tuning_repeats": 1},
    "transfer": {"weights": [1, 10], "continued_trees": 10, "inner_folds": 2},
    "validation": {"folds": 3, "repeats": 1, "resamples": 100},
    "interpretation": {"repeats": 2},
}


@pytest.fixture(scope="module")
def workflow(root, start_workflow, tmp_path_factory):
    """The example tables, one laboratory of them too, and two new conditions; run once."""
    folder = tmp_path_factory.mktemp("synthesis")
    example = root / "config" / "synthesis"
    (folder / "literature.csv").write_bytes((example / "literature.csv").read_bytes())
    own = pd.read_csv(example / "in_house.csv").head(8)
    own.to_csv(folder / "in_house.csv", index=False)
    new = own.head(2).drop(columns=["particle_size_nm", "laboratory"])
    new.to_csv(folder / "new.csv", index=False)
    config = yaml.safe_load((root / "config" / "synthesis.yaml").read_text(encoding="utf-8"))
    config["synthesis"] |= SMALL | {
        "literature": "literature.csv",
        "in_house": "$TABLES/in_house.csv",
        "new_conditions": "new.csv",
        "cases": {"in_house": {}, "lab": {"group": "lab 01"}},
    }
    (folder / "my.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    flow = start_workflow(folder, folder / "my.yaml", "synthesis")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TABLES", str(folder))
        jobs, _ = flow.run("synthesis")
        assert jobs["evaluate_case"] == 2
        yield flow


def log_of(workflow, case):
    return (workflow.folder / "logs" / "synthesis" / "evaluate_case" / f"{case}.log").read_text()


def test_every_table_holds_every_case(workflow):
    for name in TABLES:
        table = workflow.table(f"synthesis/{name}")
        assert table["case"].unique().tolist() == ["in_house", "lab"], name
    scores = workflow.table("synthesis/scores")
    assert (scores["rmse_low"] <= scores["rmse"]).all()
    assert (scores["rmse"] <= scores["rmse_high"]).all()
    summary = workflow.table("synthesis/summary").set_index("case")
    assert summary.loc["in_house", "n_in_house"] == 8
    # the laboratory has left the literature
    assert summary["n_groups"].to_dict() == {"in_house": 45, "lab": 44}


def test_rows_without_a_size_are_reported(workflow):
    dropped = workflow.table("synthesis/dropped")
    given = pd.read_csv(workflow.folder / "literature.csv")
    without = given.index[given["particle_size_nm"].isna()] + 1
    assert dropped["row"].tolist() == without.tolist()
    assert set(dropped["reason"]) == {"missing"} and set(dropped["table"]) == {"literature"}


def test_new_conditions_are_predicted(workflow):
    table = pd.read_csv(workflow.results / "synthesis" / "new_conditions.csv")
    assert table["row"].tolist() == [1, 2] and table["in_domain"].all()


def test_the_page_is_there_with_its_figures(workflow):
    page = workflow.results / "report" / "synthesis"
    text = (page / "index.html").read_text(encoding="utf-8")
    for path in (page / "figures").glob("*.png"):
        assert f"figures/{path.name}" in text
    assert len(list((page / "figures").glob("*.png"))) > 8


def test_held_out_rows_carry_their_numbers_in_the_file(workflow):
    table = workflow.table("synthesis/predictions")
    one = table[(table["case"] == "in_house") & (table["variant"] == "mean")]
    given = pd.read_csv(workflow.folder / "in_house.csv")["particle_size_nm"]
    assert sorted(set(one["row"])) == list(range(1, 9))
    assert one["target"].tolist() == pytest.approx(given.iloc[one["row"] - 1].tolist())


def test_a_second_run_does_nothing(workflow):
    assert "Nothing to be done" in workflow.run("synthesis")[1]


def test_another_order_of_rows_computes_nothing_anew(workflow):
    before = workflow.table("synthesis/scores")
    path = workflow.folder / "literature.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *lines[::-1]]) + "\n")
    jobs, _ = workflow.run("synthesis")
    assert jobs["check_conditions"] == 1
    assert "taken from the store" in log_of(workflow, "in_house")
    pd.testing.assert_frame_equal(workflow.table("synthesis/scores"), before)


def test_one_cell_of_the_in_house_table_reruns_its_case_alone(workflow):
    path = workflow.folder / "in_house.csv"
    table = pd.read_csv(path)
    table.loc[0, "particle_size_nm"] += 1.0
    table.to_csv(path, index=False)
    workflow.run("synthesis")
    assert "taken from the store" not in log_of(workflow, "in_house")
    assert "taken from the store" in log_of(workflow, "lab")


def test_a_wrong_cell_stops_the_run_with_its_place(workflow):
    path = workflow.folder / "in_house.csv"
    good = path.read_text()
    path.write_text(good.replace(",25.0,", ",warm,", 1).replace(",25,", ",warm,", 1))
    _, text = workflow.run("synthesis", ok=False)
    assert "in_house.csv, row 1, column temperature_C: 'warm' is no number" in text
    path.write_text(good)


def test_a_table_that_is_not_there_is_named(workflow, monkeypatch):
    monkeypatch.delenv("TABLES")
    _, text = workflow.run("synthesis", ok=False)
    assert "the environment variable TABLES is not set" in text
