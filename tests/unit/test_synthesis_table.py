"""Tables of synthesis conditions: every cell checked, nothing guessed, no order that matters."""

import numpy as np
import pandas as pd
import pytest

from poreflux.base.errors import ConfigError, DataError
from poreflux.synthesis.table import (
    MISSING,
    Column,
    Schema,
    are_synthetic,
    make_case,
    missing_values,
    read_table,
)

SCHEMA = Schema(
    target_name="size_nm",
    target=Column("nm", "log"),
    group="doi",
    numeric={
        "c_mol_per_L": Column("mol/L", "log"),
        "temperature_C": Column("°C", "linear", -50.0, 200.0),
    },
    categorical=("solvent",),
    keep={"clean": ("1",)},
)
HEADER = "doi,size_nm,c_mol_per_L,temperature_C,solvent,clean,remark\n"
GOOD = """10.1/a,100,0.1,25,methanol,1,x
10.1/a,120,0.2,25,methanol,1,
10.1/b,50,0.1,,water,1,
10.1/b,40,0.05,-10,,1,
10.1/c,,0.1,25,water,1,
10.1/c,70,0.3,25,water,0,
"""


@pytest.fixture
def written(tmp_path):
    """Writes a CSV of some lines and returns its path."""

    def write(lines, header=HEADER, name="t.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes((header + lines).encode(encoding))
        return path

    return write


def test_rows_are_read_as_they_are_and_missing_values_stay_missing(written):
    rows, dropped = read_table(written(GOOD), SCHEMA)
    assert sorted(rows["row"]) == [1, 2, 3, 4]
    by_row = rows.set_index("row")
    assert by_row.loc[1, ["target", "c_mol_per_L", "temperature_C"]].tolist() == [100, 0.1, 25]
    assert np.isnan(by_row.loc[3, "temperature_C"]) and by_row.loc[4, "solvent"] == MISSING
    assert dropped.to_dict("list") == {
        "row": [5, 6],
        "column": ["size_nm", "clean"],
        "reason": ["missing", "'0', not among 1"],
    }
    counted = missing_values(rows, SCHEMA).set_index("column")["n_missing"]
    assert counted.to_dict() == {"c_mol_per_L": 0, "temperature_C": 1, "solvent": 1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("10.1/a,9,overnight,25,water,1,", "row 7, column c_mol_per_L: 'overnight' is no number"),
        ("10.1/a,9,0,25,water,1,", "row 7, column c_mol_per_L: 0 must be above 0"),
        ("10.1/a,9,inf,25,water,1,", "row 7, column c_mol_per_L: inf is not finite"),
        ("10.1/a,9,0.1,298,water,1,", "row 7, column temperature_C: 298 is above the highest"),
        ("10.1/a,9,0.1,-60,water,1,", "row 7, column temperature_C: -60 is below the lowest"),
        ("10.1/a,-9,0.1,25,water,1,", "row 7, column size_nm: -9 must be above 0"),
        ("10.1/a,9,NA,25,water,1,", "row 7, column c_mol_per_L: 'NA' is no number"),
        ('10.1/a,9,"1,5",25,water,1,', "row 7, column c_mol_per_L: '1,5' is no number"),
        ("10.1/a,9,1_5,25,water,1,", "row 7, column c_mol_per_L: '1_5' is no number"),
    ],
)
def test_a_wrong_value_names_file_row_and_column(written, line, said):
    path = written(GOOD + line + "\n")
    with pytest.raises(DataError) as error:
        read_table(path, SCHEMA)
    assert f"{path}, {said}" in str(error.value)


def test_a_wrong_value_in_a_row_that_is_dropped_anyway_is_no_error(written):
    rows, dropped = read_table(written(GOOD + "10.1/a,9,overnight,25,water,0,\n"), SCHEMA)
    assert 7 in dropped["row"].tolist() and 7 not in rows["row"].tolist()


def test_many_errors_are_told_together_and_counted(written):
    path = written(GOOD + "10.1/a,9,much,25,water,1,\n" * 14)
    with pytest.raises(DataError, match=r"row 7, (.|\n)*row 16, (.|\n)*and 4 more"):
        read_table(path, SCHEMA)


def test_what_stands_for_missing_is_configured_not_guessed(written):
    schema = Schema(**{**SCHEMA.__dict__, "missing": ("NA",)})
    rows, _ = read_table(written(GOOD + "10.1/a,9,NA,25,water,1,\n"), schema)
    assert rows.set_index("row")["c_mol_per_L"].isna()[7]
    # an empty cell is missing besides
    assert rows.set_index("row")["solvent"][4] == MISSING


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            HEADER.replace("solvent", "Solvent"),
            "no column 'solvent' .did you mean 'Solvent'.*; it has: 'doi', 'size_nm'",
        ),
        (HEADER.replace("clean", "cleaned"), "no column 'clean'"),
        (HEADER.replace("size_nm", "size"), "no column 'size_nm'"),
    ],
)
def test_a_missing_column_names_those_there_are(written, header, said):
    with pytest.raises(DataError, match=said):
        read_table(written(GOOD, header), SCHEMA)


def test_a_file_that_is_no_table_says_so(tmp_path, written):
    with pytest.raises(DataError, match=r"none\.csv cannot be read as a table: No such file"):
        read_table(tmp_path / "none.csv", SCHEMA)
    with pytest.raises(DataError, match=r"t\.csv: cannot read line 2 .*quotation mark"):
        read_table(written('10.1/a,"100,0.1\n'), SCHEMA)
    with pytest.raises(DataError, match=r"not in UTF-8 \(byte 0xe9 in line 2\); save it"):
        read_table(written("10.1/a,100,0.1,25,m\xe9thanol,1,\n", encoding="latin-1"), SCHEMA)
    broken = tmp_path / "t.parquet"
    broken.write_bytes(b"PAR1 but not really")
    with pytest.raises(DataError, match="cut short or damaged"):
        read_table(broken, SCHEMA)


@pytest.mark.parametrize("line", ["10.1/a,100,0.1,25,methanol,1,x,y\n", GOOD.replace("\n", ",y\n")])
def test_a_field_too_many_is_not_read_shifted(written, line):
    with pytest.raises(DataError, match="line 2 has 8 cells, the head 7"):
        read_table(written(line), SCHEMA)


def test_two_columns_of_one_name_are_an_error(written):
    with pytest.raises(DataError, match="two columns are named 'clean'"):
        read_table(written(GOOD, HEADER.replace("remark", "clean")), SCHEMA)


def configured(**changes):
    columns = {
        "target": {"name": "size_nm"}, "group": "doi", "numeric": {"t": {}},
        "categorical": ["solvent"], "keep": {}, "missing": [],
    }  # fmt: skip
    return Schema.from_config(columns | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"categorical": ["group"]}, "'group' is a name of our own"),
        ({"numeric": {"condition": {}}}, "'condition' is a name of our own"),
        ({"numeric": {"size_nm": {}}}, "the target 'size_nm' stands among"),
        ({"numeric": {"solvent": {}}}, "'solvent' stands twice"),
        ({"numeric": {}, "categorical": []}, "neither numeric nor categorical"),
    ],
)
def test_columns_that_would_hide_others_are_refused(changes, said):
    with pytest.raises(ConfigError, match=f"synthesis.columns: {said}"):
        configured(**changes)


def test_numbers_to_keep_are_compared_to_the_last_digit(written):
    # the configuration makes floats of whole numbers
    schema = configured(keep={"clean": [20230115.0, 0.1234567]}, numeric={"c_mol_per_L": {}})
    lines = "".join(
        f"10.1/a,100,0.1,25,water,{batch},\n" for batch in (20230115, 20230116, 0.1234567)
    )
    assert sorted(read_table(written(lines), schema)[0]["row"]) == [1, 3]


def test_no_rows_left_says_why_the_first_went(written):
    with pytest.raises(DataError, match=r"no rows are left of 1: row 1, column clean"):
        read_table(written("10.1/a,100,0.1,25,methanol,0,\n"), SCHEMA)


def test_parquet_crlf_and_bom_give_the_same_rows(written, tmp_path):
    plain, _ = read_table(written(GOOD), SCHEMA)
    windows = written(GOOD.replace("\n", "\r\n"), HEADER.replace("\n", "\r\n"), "w.csv")
    windows.write_bytes(b"\xef\xbb\xbf" + windows.read_bytes())
    table = pd.read_csv(written(GOOD))
    table.to_parquet(tmp_path / "t.parquet")
    # clean is text in CSV and a number in Parquet
    pd.testing.assert_frame_equal(plain, read_table(windows, SCHEMA)[0])
    pd.testing.assert_frame_equal(plain, read_table(tmp_path / "t.parquet", SCHEMA)[0])


def test_the_order_of_rows_changes_only_their_numbers(written):
    lines = GOOD.splitlines(keepends=True)
    rows, _ = read_table(written(GOOD), SCHEMA)
    turned, _ = read_table(written("".join(lines[::-1])), SCHEMA)
    pd.testing.assert_frame_equal(rows.drop(columns="row"), turned.drop(columns="row"))


def test_new_conditions_need_no_target_and_keep_their_order(written):
    path = written("0.2,25,methanol\n0.1,25,water\n", "c_mol_per_L,temperature_C,solvent\n")
    rows, dropped = read_table(path, SCHEMA, target=False)
    assert rows["row"].tolist() == [1, 2] and dropped.empty and "target" not in rows


LITERATURE = "".join(
    f"10.1/{d},{50 + 10 * i},{0.1 * (i + 1):.1f},25,methanol,1,\n" for d in "abc" for i in range(3)
)
OWN = "".join(f"own,{60 + i},{0.1 * (i + 1):.1f},{20 + i},methanol,1,\n" for i in range(4))


def test_a_laboratory_in_the_in_house_role_leaves_the_literature(written):
    literature, _ = read_table(written(LITERATURE), SCHEMA)
    own, _ = read_table(written(OWN, name="own.csv"), SCHEMA)
    case = make_case("lab b", literature, own, SCHEMA, group="10.1/b")
    assert set(case.in_house["group"]) == {"10.1/b"} and len(case.in_house) == 3
    assert set(case.literature["group"]) == {"10.1/a", "10.1/c"}


def test_another_reading_of_a_column_changes_the_in_house_rows_alone(written):
    literature, _ = read_table(written(LITERATURE), SCHEMA)
    own, _ = read_table(written(OWN, name="own.csv"), SCHEMA)
    case = make_case("other", literature, own, SCHEMA, rescale={"c_mol_per_L": 60.0})
    by_row = case.in_house.set_index("row")["c_mol_per_L"]
    assert np.allclose(by_row, 60.0 * own.set_index("row").loc[by_row.index, "c_mol_per_L"])
    assert (case.in_house["condition"] != own["condition"]).all()
    pd.testing.assert_frame_equal(case.literature, literature)


def test_a_group_of_both_tables_counts_as_in_house(written):
    literature, _ = read_table(written(LITERATURE + OWN), SCHEMA)
    own, _ = read_table(written(OWN, name="own.csv"), SCHEMA)
    assert "own" not in set(make_case("a", literature, own, SCHEMA).literature["group"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"group": "10.1/x"}, "no row of the literature has the group '10.1/x'"),
        ({"rescale": {"time": 60.0}}, "cannot rescale 'time'; numeric columns: c_mol_per_L"),
        ({"rescale": {"temperature_C": 60.0}}, "row 1, column temperature_C: 1200 after"),
    ],
)
def test_a_case_that_cannot_be_says_why(written, options, said):
    literature, _ = read_table(written(LITERATURE), SCHEMA)
    own, _ = read_table(written(OWN, name="own.csv"), SCHEMA)
    with pytest.raises(DataError, match=said):
        make_case("x", literature, own, SCHEMA, **options)


def test_too_few_conditions_or_articles_are_an_error(written):
    literature, _ = read_table(written(LITERATURE), SCHEMA)
    few, _ = read_table(written("".join(OWN.splitlines(True)[:2]) * 3, name="few.csv"), SCHEMA)
    with pytest.raises(DataError, match="hold 2 different conditions; at least 3"):
        make_case("x", literature, few, SCHEMA)
    own, _ = read_table(written(OWN, name="own.csv"), SCHEMA)
    one = literature[literature["group"] == "10.1/a"]
    with pytest.raises(DataError, match="fewer than 2 groups"):
        make_case("x", one, own, SCHEMA)


def test_tables_that_say_so_are_synthetic(root, tmp_path):
    examples = sorted((root / "config" / "synthesis").glob("*.csv"))
    assert are_synthetic(examples)
    measured = tmp_path / "measured.csv"
    measured.write_text("origin,size\nlaboratory,3\n,4\n")
    without = tmp_path / "without.csv"
    without.write_text("size\n3\n")
    assert not are_synthetic([measured, without])
    assert are_synthetic([without, examples[0]])
