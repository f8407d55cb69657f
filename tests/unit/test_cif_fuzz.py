"""Thousands of damaged CIFs: each is read soundly or refused with a reason, never a crash.

A mutant is made from (seed, number) alone, so that a failure names what reproduces it:
``mutant(seed, number)``.
"""

import random
import re
import resource
import time

import numpy as np
import pytest

from poreflux import energy
from poreflux.base.errors import StructureError
from poreflux.base.processes import run_isolated
from poreflux.run import intake
from poreflux.store import Store
from poreflux.structures import checks
from poreflux.structures.cif import parse_cif, parse_with_remarks
from poreflux.structures.crystal import MAX_ATOMS

pytestmark = pytest.mark.filterwarnings("error")

SEED = 20240607
MUTANTS = 3000

CELL = """_cell_length_a {}
_cell_length_b {}
_cell_length_c {}
_cell_angle_alpha {}
_cell_angle_beta {}
_cell_angle_gamma {}
"""
COLUMNS = """loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
"""
# As a database, a refinement program, ASE and a builder of hypothetical MOFs write them
BASES = [
    "data_p1\n"
    + CELL.format("9.0", "10.25", "7.5", "80.5", "95.25", "101.75")
    + "_symmetry_space_group_name_H-M 'P 1'\nloop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n"
    + COLUMNS
    + "Zn1 Zn 0.0 0.0 0.0\nO1 O 0.125 0.25 0.375\nC1 C 0.5 0.25 0.4\nC2 C 0.62 0.3 0.4\n"
    + "H1 H 0.71 0.25 0.4\nN1 N 0.5 0.75 0.875\n",
    "#from a refinement\ndata_inversion\n_audit_creation_method 'by hand'\n"
    + "_publ_section_title\n;\n A text field, with _tags and loop_ inside\n;\n"
    + CELL.format("8.500(2)", "9.125(3)", "10.750(2)", "90", "104.25(1)", "90")
    + "_space_group_name_H-M_alt 'P 1 21/c 1'\n_space_group_IT_number 14\nloop_\n"
    + "_space_group_symop_id\n_space_group_symop_operation_xyz\n"
    + "1 x,y,z\n2 -x,y+1/2,-z+1/2\n3 -x,-y,-z\n4 x,-y-1/2,z-1/2\n"
    + COLUMNS
    + "_atom_site_U_iso_or_equiv\n_atom_site_occupancy\n_atom_site_disorder_group\n"
    + "Cu1 Cu2+ 0.0 0.0 0.0 0.02 1 .\nO1 O 0.1250(2) 0.2125(3) 0.0875(2) 0.03 1 .\n"
    + "C1 C 0.25 0.125 0.3125 0.03 1 .\nD1 D 0.3125 0.0625 0.25 ? 1 .\n"
    + "loop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11\nCu1 0.02\nO1 0.03\n#END\n",
    "data_cubic\n"
    + CELL.format("12.5", "12.5", "12.5", "90", "90", "90")
    + "_symmetry_space_group_name_H-M 'F m -3 m'\n"
    + COLUMNS
    + "Zr1 Zr 0.25 0.0 0.0\nO1 O 0.125 0.125 0.125\nC1 C 0.0 0.3 0.3\n",
    "data_image0\n"
    + CELL.format("15.0", "15.0", "6.0", "90", "90", "120")
    + "_symmetry_space_group_name_H-M    R -3\n_symmetry_int_tables_number       148\n\nloop_\n"
    + "  _atom_site_label\n  _atom_site_occupancy\n  _atom_site_fract_x\n  _atom_site_fract_y\n"
    + "  _atom_site_fract_z\n  _atom_site_type_symbol\n"
    + "  Mg1 1.0000 0.3875 0.0375 0.1375 Mg\n  O1 1.0000 0.2 0.25 0.1 O\n"
    + "  C1 1.0000 0.3125 0.25 0.5 C\n",
    "data_pcu+N16+E14\n"
    + CELL.format("11.000000", "11.000000", "11.000000", "90.000", "90.000", "90.000")
    + COLUMNS.replace("_atom_site_type_symbol\n", "")
    + "Zn1 0.125 0.5 0.5\nO2 0.3125 0.5 0.5\nC3 0.4375 0.5 0.5\nCl4 0.75 0.5 0.5\n",
]

NUMBERS = (
    "0 -1 -0.0 1e308 -1e308 1e-308 1e400 nan NaN inf -inf ? . '' 0.5.5 1,5 1e 12(3) (3) -- 180 "
    "179.9999 360 90.0000001 1e-9 999999 1000.0 0.9999999999 abc '0.25' 1/3 ٣ 0x10 1_0 +5"
).split()
SYMBOLS = (
    "He Xe Tc Po Og Xx Wat D T Q X Zn2+ O2- Cu+2 C1- ZN ca 1C ? . '' Cent H+ U Cf Ow "
    "C_R Uuo _ ' \" Å 🜁 verylongname"
).split()
OPERATORS = (
    "x,y,z -x,-y,-z x,x,x 0,0,0 x,y 2x,y,z x+1/0,y,z y,z,x x,y,z+1/7 -y,x-y,z+1/3 x*y,z,x "
    "x+99999999999999999999,y,z __import__('os') ? . 1,2,3 x,y,z,w x+1/2,y+1/2,z+0.3333 -x,y,-z"
).split()
GROUPS = (
    "'F d -3 m' 'P 1' P1 'R 3 m' 'I 41/a m d' 'nonsense' ? . 'P 63/m m c' 227 '' 'Fm-3m' 'R-3:R'"
).split(" ")


# --- mutations of the text ---------------------------------------------------------------------


def atom_loop(lines):
    """First line of the atoms' loop header, first and one past the last line of its rows."""
    at = next((i for i, x in enumerate(lines) if "_atom_site_fract_x" in x), None)
    if at is None:
        return None
    start = at
    while start > 0 and lines[start].strip() != "loop_":
        start -= 1
    first = at
    while first < len(lines) and lines[first].strip().startswith(("_", "loop_")):
        first += 1
    last = first
    while last < len(lines) and re.match(r"\s*[A-Za-z]+\d+\s", lines[last]):
        last += 1
    return (start + 1, first, last) if last > first else None


def on_atoms(change):
    """A mutation of (header lines, rows of tokens)."""

    def mutate(rng, text):
        lines = text.split("\n")
        found = atom_loop(lines)
        if found is None:
            return text
        start, first, last = found
        header, rows = lines[start:first], [x.split() for x in lines[first:last]]
        change(rng, header, rows)
        return "\n".join([*lines[:start], *header, *(" ".join(r) for r in rows), *lines[last:]])

    mutate.__name__ = change.__name__
    return mutate


def on_lines(change):
    """A mutation of the list of lines."""

    def mutate(rng, text):
        lines = text.split("\n")
        change(rng, lines)
        return "\n".join(lines)

    mutate.__name__ = change.__name__
    return mutate


@on_atoms
def swap_header_lines(rng, header, rows):
    i, j = rng.randrange(len(header)), rng.randrange(len(header))
    header[i], header[j] = header[j], header[i]


@on_atoms
def lose_column_name(rng, header, rows):
    del header[rng.randrange(len(header))]


@on_atoms
def lose_column(rng, header, rows):
    i = rng.randrange(len(header))
    del header[i]
    for row in rows:
        del row[i : i + 1]


@on_atoms
def double_column(rng, header, rows):
    i = rng.randrange(len(header))
    header.append(header[i])
    for row in rows:
        row.append(row[min(i, len(row) - 1)])


@on_atoms
def odd_value(rng, header, rows):
    row = rng.choice(rows)
    if row:
        row[rng.randrange(len(row))] = rng.choice(NUMBERS)


@on_atoms
def odd_symbol(rng, header, rows):
    names = [i for i, h in enumerate(header) if "label" in h or "symbol" in h]
    row = rng.choice(rows)
    if names and row:
        row[min(rng.choice(names), len(row) - 1)] = rng.choice(SYMBOLS)


@on_atoms
def lose_value(rng, header, rows):
    row = rng.choice(rows)
    if row:
        del row[rng.randrange(len(row))]


@on_atoms
def extra_value(rng, header, rows):
    row = rng.choice(rows)
    row.insert(rng.randint(0, len(row)), rng.choice(["0.5", "C", "?", "extra", "'a b'", "#x"]))


@on_atoms
def same_place(rng, header, rows):
    rows.append(list(rng.choice(rows)))


@on_atoms
def far_away(rng, header, rows):
    for i, h in enumerate(header):
        if "fract" in h:
            for row in rows:
                if i < len(row) and re.fullmatch(r"0\.\d+", row[i]):
                    row[i] = f"{float(row[i]) + rng.randint(-9, 9):.4f}"


@on_atoms
def partial_occupancy(rng, header, rows):
    header.append("_atom_site_occupancy" if rng.random() < 0.5 else "_atom_site_calc_flag")
    value = rng.choice(["0.5", "1.0", "0", "-1", "2", "1.0005", "dum", "?", "nan", "0.33(1)"])
    for row in rows:
        row.append(value if rng.random() < 0.5 else "1")


@on_atoms
def disorder_groups(rng, header, rows):
    header.append("_atom_site_disorder_group")
    for row in rows:
        row.append(rng.choice([".", "1", "2", "-1", "?", "A"]))


@on_atoms
def no_rows(rng, header, rows):
    del rows[rng.randrange(len(rows)) :]


@on_atoms
def many_atoms(rng, header, rows):
    numeric = [i for i, h in enumerate(header) if "fract" in h]
    for _ in range(rng.choice([5, 10, 20, 40, 300])):
        row = list(rng.choice(rows))
        for i in numeric:
            if i < len(row):
                row[i] = f"{rng.random():.5f}"
        rows.append(row)


@on_atoms
def cartesian_names(rng, header, rows):
    header[:] = [h.replace("fract", "Cartn") for h in header]


@on_lines
def odd_cell(rng, lines):
    cell = [i for i, x in enumerate(lines) if x.startswith("_cell")]
    if cell:
        i = rng.choice(cell)
        lines[i] = f"{lines[i].split()[0]} {rng.choice(NUMBERS)}"


@on_lines
def other_cell(rng, lines):
    for i, line in enumerate(lines):
        if line.startswith("_cell_length"):
            lines[i] = f"{line.split()[0]} {rng.choice([0.9, 1.2, 3.0, 30.0, 400.0, 999.0])}"
        elif line.startswith("_cell_angle") and rng.random() < 0.3:
            lines[i] = f"{line.split()[0]} {rng.choice([30, 60, 75, 90, 119.9, 120, 150, 178])}"


@on_lines
def lose_line(rng, lines):
    del lines[rng.randrange(len(lines))]


@on_lines
def double_line(rng, lines):
    i = rng.randrange(len(lines))
    lines.insert(rng.randint(0, len(lines)) if rng.random() < 0.3 else i, lines[i])


@on_lines
def swap_lines(rng, lines):
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]


@on_lines
def double_chunk(rng, lines):
    i = rng.randrange(len(lines))
    j = min(len(lines), i + rng.randrange(1, 15))
    lines[i:i] = lines[i:j]


@on_lines
def stray_line(rng, lines):
    stray = [
        "loop_",
        "data_other",
        "save_x",
        "save_",
        "stop_",
        "global_",
        ";",
        ";text",
        "END",
        "_tag",
        "_tag 'open",
        "_tag two words",
        "_tag [1 2]",
        "_tag $frame",
        "'",
        "''' x '''",
        "garbage",
        "1 2 3 4 5",
        "#\x07",
        "_symmetry_space_group_name_H-M P 1",
        "_cell_length_a 5",
        "loop_\n_a\n_b\n1 2 3",
        "loop_ " * 200,
        "loop_\n" + "".join(f"_t{k}\n" for k in range(500)) + "1 " * 500,
        "_atom_site_label C1",
        "_atom_site_fract_x 0.5",
        "x" * 100_000,
        "_long '" + "y" * 100_000,
        "C9 " * 3000,
        "\x0b\x0c",
    ]
    lines.insert(rng.randint(0, len(lines)), rng.choice(stray))


@on_lines
def odd_symmetry(rng, lines):
    start = rng.randint(0, len(lines))
    kind = rng.randrange(3)
    if kind == 0:
        tag = rng.choice(["_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"])
        some = [f"'{rng.choice(OPERATORS)}'" for _ in range(rng.randrange(1, 5))]
        lines[start:start] = ["loop_", tag, *some]
    elif kind == 1:
        lines.insert(start, f"_symmetry_space_group_name_H-M {rng.choice(GROUPS)}")
    else:
        lines.insert(start, f"_space_group_IT_number {rng.choice([*NUMBERS, '227', '2', '166'])}")


@on_lines
def change_operator(rng, lines):
    found = [i for i, x in enumerate(lines) if re.search(r"x,.*y.*,.*z", x)]
    if found:
        i = rng.choice(found)
        lines[i] = re.sub(r"'?[-+x].*", rng.choice(OPERATORS), lines[i])


@on_lines
def no_symmetry(rng, lines):
    lines[:] = [x for x in lines if not x.startswith(("_symmetry", "_space_group"))]


def lose_quotes(rng, text):
    return text.replace(rng.choice(["'", '"', ";"]), "", rng.randint(1, 4))


def change_character(rng, text):
    i = rng.randrange(len(text))
    return text[:i] + rng.choice("'\"#_;$[]\t\n 0-.é−\u00a0\u2028({?") + text[i + 1 :]


def digits(rng, text):
    return re.sub(
        r"\d", lambda m: m.group() if rng.random() < 0.97 else str(rng.randrange(10)), text
    )


def upper_case(rng, text):
    return text.upper() if rng.random() < 0.5 else text.lower()


def twice(rng, text):
    return text + text.replace("data_", rng.choice(["data_", "data_2", "#"]), 1)


TEXT_MUTATIONS = [
    v for v in list(globals().values()) if callable(v) and v.__module__ == __name__
    and v.__name__ not in ("atom_loop", "on_atoms", "on_lines")
]  # fmt: skip


# --- mutations of the bytes --------------------------------------------------------------------


def truncated(rng, data):
    return data[: rng.randrange(len(data) + 1)]


def headless(rng, data):
    return data[rng.randrange(len(data) + 1) :]


def flipped(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 40])):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def nul(rng, data):
    i = rng.randrange(len(data) + 1)
    return data[:i] + b"\0" * rng.choice([1, 1, 400]) + data[i:]


def not_utf8(rng, data):
    i = rng.randrange(len(data) + 1)
    return (
        data[:i] + rng.choice([b"\xff", b"\xfc", b"\xc3\x28", b"\xed\xa0\x80", b"\xf8"]) + data[i:]
    )


def recoded(rng, data):
    code = rng.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp037"])
    return data.decode("utf-8", "replace").encode(code, "replace")


def line_ends(rng, data):
    return data.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\r", b"\n\n", b"\x85", b" "]))


BYTE_MUTATIONS = [truncated, headless, flipped, nul, not_utf8, recoded, line_ends]


def mutant(seed: int, number: int) -> bytes:
    """The damaged CIF with this number: one to four mutations of one of the bases."""
    rng = random.Random(f"{seed}-{number}")
    text = rng.choice(BASES)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        text = rng.choice(TEXT_MUTATIONS)(rng, text)
        if not text:
            return b""
    data = text.encode("utf-8", "replace")
    for _ in range(rng.choice([0, 0, 0, 1, 1])):
        data = rng.choice(BYTE_MUTATIONS)(rng, data)
    return data


def outcome(data: bytes) -> str:
    """'ok' or 'failed'; an AssertionError or any other exception is a fault of the library."""
    try:
        structure, remarks = parse_with_remarks(data)
        warnings = remarks | checks.find_warnings(structure)
    except StructureError as error:
        check_reason(str(error))
        return "failed"
    assert structure.n_atoms >= 1
    assert np.isfinite(structure.cell).all()
    assert structure.volume_A3 > 0
    assert ((structure.frac >= 0) & (structure.frac < 1)).all()
    assert set(warnings) <= set(checks.REMEDIES)
    if warnings:
        check_reason(checks.join(warnings))
    assert parse_cif(data).content_hash == structure.content_hash
    assert parse_cif(structure.to_cif().encode()).content_hash == structure.content_hash
    try:
        # a coarse grid and a short cutoff: the numbers are not what is tested
        spacing = max(structure.lengths_A) / 4
        h = energy.compute(structure, energy.EnergySettings(spacing_A=spacing, cutoff_A=5.0))
    except StructureError as error:
        check_reason(str(error))
    else:
        assert h.histogram.sum() == pytest.approx(1.0)
    return "ok"


def check_reason(reason: str):
    assert reason.strip()
    assert reason.isprintable(), repr(reason)
    assert len(reason) < 1000, reason


def test_bases_are_sound():
    for base in BASES:
        assert outcome(base.encode()) == "ok"


@pytest.mark.parametrize(
    "part",
    [pytest.param(i, marks=[pytest.mark.slow("20 s for all")] if i > 1 else []) for i in range(10)],
)
def test_mutants(part):
    count = {"ok": 0, "failed": 0}
    for number in range(part, MUTANTS, 10):
        data = mutant(SEED, number)
        start = time.perf_counter()
        try:
            count[outcome(data)] += 1
        except Exception as error:
            raise AssertionError(f"mutant({SEED}, {number}): {error!r}") from error
        # a thousand times what the slowest takes
        assert time.perf_counter() - start < 20, f"mutant({SEED}, {number}) is slow"
    # neither outcome is the test's own doing
    assert min(count.values()) > 0.2 * MUTANTS / 10, count


@pytest.mark.parametrize("mutation", TEXT_MUTATIONS + BYTE_MUTATIONS, ids=lambda f: f.__name__)
def test_every_mutation_does_something(mutation):
    rng = random.Random(1)
    changed = 0
    for base in BASES * 4:
        before = base if mutation in TEXT_MUTATIONS else base.encode()
        after = mutation(rng, before)
        changed += after != before
        outcome(after if isinstance(after, bytes) else after.encode())
    assert changed


def test_mutants_on_disk(tmp_path):
    numbers = range(MUTANTS, MUTANTS + 60)
    members = {}
    for number in numbers:
        path = tmp_path / f"m{number}.cif"
        path.write_bytes(mutant(SEED, number))
        members[path.stem] = str(path)
    (tmp_path / "folder.cif").mkdir()
    members |= {"folder": str(tmp_path / "folder.cif"), "gone": str(tmp_path / "gone.cif")}
    settings = {"symmetry": "expand", "min_distance_A": 0.5, "fail_on": []}
    table = intake.read_structures(
        members, {"cifs": "x"}, store=Store(tmp_path / "store"), checks=settings
    ).set_index("name")
    assert set(table.index) == set(members)
    assert set(table["status"]) == {"ok", "failed"}
    failed = table[table["status"] == "failed"]
    assert all(reason for reason in failed["reason"])
    assert not failed["reason"].str.contains("internal error|process died").any()
    assert list(failed.index[:2]) == ["folder", "gone"]
    for number in numbers:
        expected = outcome(mutant(SEED, number))
        assert table.loc[f"m{number}", "status"] == expected, number


@pytest.mark.parametrize("rows", [MAX_ATOMS + 1, 1_000_000])
def test_far_too_many_atoms(rows):
    data = (BASES[0] + "C1 C 0.1 0.2 0.3\n" * rows).encode()
    (result,) = run_isolated(parse_cif, [(data,)], seconds=60, memory_mb=1500)
    assert result.error == "StructureError"
    assert "more than 50000" in result.reason


def test_symmetry_multiplies_within_bounds():
    rng = random.Random(1)
    places = [" ".join(f"{rng.random():.5f}" for _ in "xyz") for _ in range(4000)]
    base = BASES[2].replace("12.5\n", "80\n")
    base += "".join(f"C{i} C {place}\n" for i, place in enumerate(places))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(StructureError, match="more than"):
        parse_cif(base.encode())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


# --- what must not change the content ----------------------------------------------------------


def shuffled_rows(rng, text):
    @on_atoms
    def change(rng, header, rows):
        rng.shuffle(rows)

    return change(rng, text)


def shuffled_columns(rng, text):
    @on_atoms
    def change(rng, header, rows):
        order = list(range(len(header)))
        rng.shuffle(order)
        header[:] = [header[i] for i in order]
        rows[:] = [[row[i] for i in order] for row in rows]

    return change(rng, text)


def new_labels(rng, text):
    """New labels; where they name the element it stays."""

    @on_atoms
    def change(rng, header, rows):
        i = next(k for k, h in enumerate(header) if "label" in h)
        for n, row in enumerate(rows):
            row[i] = re.match("[A-Za-z]+", row[i]).group() + str(900 + n)

    return change(rng, text)


def padded(rng, text):
    return re.sub(r"\b(\d+\.\d+)(?=[\s(])", lambda m: m.group() + "0" * rng.randrange(4), text)


def quoted_values(rng, text):
    return re.sub(r"(?<=\s)([A-Z][a-z]?\d)(?=\s)", r"'\1'", text)


def wider(rng, text):
    out, inside = [], False
    for line in text.split("\n"):
        inside ^= line.startswith(";")
        out.append(line if inside or line.startswith(";") else line.replace(" ", " \t  "))
    return "\n".join(out) + "\n\n"


def commented(rng, text):
    out, inside = ["# _cell_length_a 3"], False
    for line in text.split("\n"):
        inside ^= line.startswith(";")
        out.append(line)
        if not inside and rng.random() < 0.5:
            out.append("# data_other 'quotes\" ; loop_")
    return "\n".join(out)


def more_items(rng, text):
    head, _, rest = text.partition("_cell_length_a")
    extra = (
        "_extra_a 'x y'\n_extra_b\n;\ntext 'field\"\n;\nloop_\n_extra_c\n_extra_d\n1 'a b'\n2 ?\n"
    )
    return f"{head}{extra}_cell_length_a{rest}".rstrip() + "\nloop_\n_geom_bond_distance\n1.5(2)\n"


def capital_tags(rng, text):
    return re.sub(r"^(\s*)(_\w+)", lambda m: m.group(1) + m.group(2).upper(), text, flags=re.M)


def shifted_by_the_lattice(rng, text):
    @on_atoms
    def change(rng, header, rows):
        for i, h in enumerate(header):
            if "fract" in h:
                for row in rows:
                    row[i] = f"{float(row[i].partition('(')[0]) + rng.randint(-3, 3):.6f}"

    return change(rng, text)


def crlf(rng, text):
    return text.replace("\n", "\r\n")


def cr(rng, text):
    return text.replace("\n", "\r")


def marked(rng, text):
    return "\ufeff" + text


@pytest.mark.parametrize("base", range(len(BASES)))
@pytest.mark.parametrize(
    "change",
    [
        shuffled_rows,
        shuffled_columns,
        new_labels,
        padded,
        quoted_values,
        wider,
        commented,
        more_items,
        capital_tags,
        shifted_by_the_lattice,
        crlf,
        cr,
        marked,
    ],
)
def test_content_hash_stays(base, change):
    text = BASES[base]
    expected = parse_cif(text.encode()).content_hash
    for number in range(5):
        changed = change(random.Random(number), text)
        assert changed != text or change in (quoted_values, padded, shuffled_rows)
        assert parse_cif(changed.encode()).content_hash == expected
