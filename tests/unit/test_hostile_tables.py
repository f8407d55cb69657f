"""Tables that others made, in every state that files come in: the right numbers, or why not.

One small table is written in some 170 ways and read as a stage's table, as labels and as synthesis
conditions. Nothing but the right number may come out of it: what is not read has an error or a
failed row that names the file, the reason and what to do.
"""

import bz2
import datetime
import decimal
import gzip
import io
import lzma
import os
import re
import zipfile

import numpy as np
import pandas as pd
import pytest

from poreflux.base.errors import DataError
from poreflux.base.foreign_tables import read_table
from poreflux.data import from_files, labels
from poreflux.synthesis import table as conditions

RIGHT = {"MOF-5": 2.5, "ZIF-8": 0.75, "HKUST-1": 14.0}
TEMPERATURES = [25.0, 30.0, 35.0]
TEXT = "mof,D,T\nMOF-5,2.5,25\nZIF-8,0.75,30\nHKUST-1,14.0,35\n"
FRAME = pd.DataFrame({"mof": [*RIGHT], "D": [*RIGHT.values()], "T": TEMPERATURES})
STRUCTURES = pd.DataFrame(
    {"name": [*RIGHT], "content_hash": ["11", "22", "33"], "status": "ok", "reason": ""}
)
OK = "right"
# What a message advises, by the kind of fault
COMMAS = "separated by .*; save it with commas"
UTF8 = "save it as CSV in UTF-8"
CELLS = r"line \d+ has \d+ cells, the head \d.*; (give each line as many|delete .*)"
QUOTES = "quotation mark"
NUMBER = "is no number.*(write|correct|leave|save)"
COLUMN = "no column '.+; it has: .*name one of these"
EMPTY = "is empty|left out|dropped"
NAMELESS = "nothing in column 'mof'|dropped"
# Names matter where structures have them.
SPELL = {"stage": "(spell|write) it", "label": "(spell|write) it", "conditions": OK}
CSV = "save .* as CSV"
AGAIN = "(download|export|copy|get) it again"


def named(expected) -> dict:
    """What is to come of it where each name stands for one structure."""
    return {"stage": expected, "label": expected}


def text(old: str, new: str, count: int = 1) -> bytes:
    assert old in TEXT
    return TEXT.replace(old, new, count).encode()


def cell(value: str) -> bytes:
    """With another diffusivity of ZIF-8."""
    return text("0.75", value)


def parquet(frame=FRAME, **columns) -> bytes:
    buffer = io.BytesIO()
    frame.assign(**columns).to_parquet(buffer)
    return buffer.getvalue()


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "."), data)
    return buffer.getvalue()


PLAIN = TEXT.encode()
GZ = gzip.compress(PLAIN, mtime=0)

# By what is done to the table: content, what is to come of it, and name of the file if not t.csv
FILES = {
    # --- encodings
    "as it should be": (PLAIN, OK),
    "UTF-8 with mark": (b"\xef\xbb\xbf" + PLAIN, OK),
    "two marks": (b"\xef\xbb\xbf\xef\xbb\xbf" + PLAIN, COLUMN),
    "UTF-16": (TEXT.encode("utf-16"), UTF8),
    "UTF-16 little without mark": (TEXT.encode("utf-16-le"), UTF8),
    "UTF-16 big without mark": (TEXT.encode("utf-16-be"), UTF8),
    "UTF-32": (TEXT.encode("utf-32"), UTF8),
    "Latin-1": ("Tür,".encode("latin-1") + PLAIN, UTF8),
    "Latin-1 name": (text("ZIF", "Zïf").decode().encode("latin-1"), f"line 3.*{UTF8}"),
    "cut inside a character": (PLAIN + "é".encode()[:1], UTF8),
    "NUL bytes": (text("0.75", "0.\x0075"), f"NUL.*{AGAIN}"),
    "NUL at the end": (PLAIN + b"\0" * 512, f"NUL.*{AGAIN}"),
    "EBCDIC": (TEXT.encode("cp500"), f"{UTF8}|{COLUMN}|{COMMAS}"),
    # --- separators
    "semicolons": (TEXT.replace(",", ";").encode(), COMMAS),
    "semicolons and decimal commas": (
        TEXT.replace(",", ";").replace(".", ",").encode(), COMMAS,
    ),
    "tabs": (TEXT.replace(",", "\t").encode(), COMMAS),
    "tabs in .tsv": (TEXT.replace(",", "\t").encode(), COMMAS, "t.tsv"),
    "bars": (TEXT.replace(",", "|").encode(), COMMAS),
    "bars all round": (
        re.sub(r"(?m)^(.+)$", r"|\1|", TEXT).replace(",", "|").encode(), COMMAS,
    ),
    "blanks": (TEXT.replace(",", "   ").encode(), COMMAS),
    "colons": (TEXT.replace(",", ":").encode(), COLUMN),
    "head with commas, rows with semicolons": (
        b"mof,D,T\n" + TEXT.split("\n", 1)[1].replace(",", ";").encode(), CELLS,
    ),
    "head with semicolons, rows with commas": (text("mof,D,T", "mof;D;T"), COMMAS),
    "sep= for Excel": (b"sep=,\n" + PLAIN, CELLS),
    "sep=; for Excel": (
        b"sep=;\n" + TEXT.replace(",", ";").encode(), f"{COMMAS}|{COLUMN}|{CELLS}",
    ),
    "blanks after commas": (TEXT.replace(",", ", ").encode(), OK),
    "tabs around cells": (TEXT.replace(",", "\t,\t").encode(), OK),
    # --- line ends
    "CRLF": (TEXT.replace("\n", "\r\n").encode(), OK),
    "CR alone": (TEXT.replace("\n", "\r").encode(), OK),
    "mixed line ends": (TEXT.replace("\n", "\r\n", 2).encode(), OK),
    "CR CR LF": (TEXT.replace("\n", "\r\r\n").encode(), OK),
    "no last line end": (PLAIN.rstrip(), OK),
    "all in one line": (TEXT.replace("\n", " ").encode(), f"{COLUMN}|no rows"),
    "DOS end of file": (PLAIN + b"\x1a", OK),
    # --- rows
    "empty lines": (TEXT.replace("\n", "\n\n").encode(), OK),
    "empty lines first": (b"\n\n" + PLAIN, OK),
    "lines of commas at the end": (PLAIN + b",,\n,,\n", OK),
    "lines of blanks": (PLAIN + b" , ,\n", OK),
    "trailing commas": (TEXT.replace("\n", ",\n").encode(), OK),
    "trailing commas below the head": (
        b"mof,D,T\n" + TEXT.split("\n", 1)[1].replace("\n", ",\n").encode(), OK,
    ),
    "one cell more in all rows": (
        b"mof,D,T\n" + TEXT.split("\n", 1)[1].replace("\n", ",9\n").encode(), CELLS,
    ),
    "one cell more in front of all rows": (
        b"mof,D,T\n1,MOF-5,2.5,25\n2,ZIF-8,0.75,30\n3,HKUST-1,14.0,35\n", CELLS,
    ),
    "one cell more in a row": (text("0.75", "0.75,1"), CELLS),
    "one cell less in a row": (text("ZIF-8,", "ZIF-8 "), CELLS),
    "rows of the first cell alone": (text("ZIF-8,0.75,30", "ZIF-8"), CELLS),
    "cut in the middle": (PLAIN[:-12], CELLS),
    "comment above": (b"# made by us\n" + PLAIN, CELLS),
    "comment of cells above": (b"# made,by,us\n" + PLAIN, COLUMN),
    "comment below": (PLAIN + b"# that is all\n", CELLS),
    "comment at the end of a row": (text("30", "30 # checked"), {"conditions": NUMBER}),
    "head behind a hash": (b"# " + PLAIN, COLUMN),
    "title above": (b"Table S1,,\n" + PLAIN, CELLS),
    "units below the head": (
        text("T\n", "T\n,1e-8 m2/s,K\n"),
        {"stage": "nothing in column 'mof'", "label": NUMBER, "conditions": OK},
    ),
    "head again in the middle": (PLAIN + b"mof,D,T\n", {"stage": OK}),
    "no head": (PLAIN.split(b"\n", 1)[1], COLUMN),
    "index column": (
        b",mof,D,T\n0,MOF-5,2.5,25\n1,ZIF-8,0.75,30\n2,HKUST-1,14.0,35\n", OK,
    ),
    "columns in another order": (FRAME[["T", "D", "mof"]].to_csv(index=False).encode(), OK),
    "transposed": (FRAME.T.to_csv(header=False).encode(), COLUMN),
    # --- heads
    "units in the head": (text("D,", "D (1e-8 m2/s),"), COLUMN),
    "head in capitals": (text("mof", "MOF"), COLUMN),
    "column in another case": (text("D", "d"), COLUMN),
    "blanks in the head": (text("mof,D", " mof , D "), OK),
    "no-break space in the head": (text("D,", "D\u00a0,"), OK),
    "line break in the head": (text("D,", '"D\n(m2/s)",'), COLUMN),
    "numbers twice": (
        b"mof,D,D,T\nMOF-5,2.5,1,25\nZIF-8,0.75,1,30\nHKUST-1,14.0,1,35\n",
        "two columns .*'D'; rename",
    ),
    "names twice": (
        b"mof,mof,D,T\nMOF-5,a,2.5,25\nZIF-8,b,0.75,30\nHKUST-1,c,14.0,35\n",
        "two columns .*'mof'; rename",
    ),
    "twice but for blanks": (
        b"mof,D, D,T\nMOF-5,2.5,1,25\nZIF-8,0.75,1,30\nHKUST-1,14.0,1,35\n",
        "two columns .*'D'; rename",
    ),
    "others twice": (
        b"mof,D,x,x,T\nMOF-5,2.5,,,25\nZIF-8,0.75,,,30\nHKUST-1,14.0,,,35\n", OK,
    ),
    "no numbers": (FRAME[["mof", "T"]].to_csv(index=False).encode(), COLUMN),
    "no names": (FRAME[["D", "T"]].to_csv(index=False).encode(), COLUMN),
    "quoted head": (text("mof,D,T", '"mof","D","T"'), OK),
    "apostrophes of spreadsheets": (text("ZIF", "'ZIF"), SPELL),
    # --- quotes
    "all quoted": (re.sub(r"[^,\n]+", r'"\g<0>"', TEXT).encode(), OK),
    "quote left open": (text("0.75", '"0.75'), QUOTES),
    "quote left open at the end": (PLAIN + b'"', QUOTES),
    "quotes that swallow rows": (
        TEXT.replace("ZIF", '"ZIF').replace("HKUST-1", '"HKUST-1').encode(), QUOTES,
    ),
    "quotes that swallow rows whole": (
        b'mof,D,T\nMOF-5,2.5,25\n"ZIF-8,0.75,30\nHKUST-1",14.0,35\n', "line break.*ZIF-8",
    ),
    "quote inside": (text("0.75", '"0.7"5'), QUOTES),
    "single quotes": (text("0.75", "'0.75'"), NUMBER),
    "typographic quotes": (text("0.75", "“0.75”"), NUMBER),
    "very long cell": (cell("1" * 200_000), "(longer|larger) than"),
    "very long text elsewhere": (
        b"".join(
            line + b"," + note + b"\n"
            for line, note in zip(PLAIN.split(), [b"x", b"", b"a" * 100_000, b""], strict=True)
        ),
        OK,
    ),
    # --- files that are something else
    "empty": (b"", "empty"),
    "blanks alone": (b" \n\n  \n", "empty"),
    "mark alone": (b"\xef\xbb\xbf", "empty"),
    "head alone": (b"mof,D,T\n", "no rows"),
    "random bytes": (bytes(range(255, 0, -1)), UTF8),
    "web page": (b"<!DOCTYPE html><html><body>404</body></html>", f"web page.*{AGAIN}"),
    "JSON": (FRAME.to_json(orient="records").encode(), QUOTES),
    "pointer of Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123\n",
        "Git LFS.*git lfs pull",
    ),
    "xlsx": (zipped(**{"[Content_Types]__xml": b"<x/>", "xl/workbook__xml": b""}), CSV),
    "ods": (zipped(mimetype=b"application/vnd.oasis", content__xml=b""), CSV),
    "xls": (bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600, CSV),
    "xlsx by its name": (
        zipped(**{"[Content_Types]__xml": b"<x/>", "xl/workbook__xml": b""}), CSV, "t.xlsx",
    ),
    "PDF": (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", f"{UTF8}|{COLUMN}"),
    "pickle": (b"\x80\x04\x95\x10\x00\x00", f"{UTF8}|NUL"),
    "LaTeX": (TEXT.replace(",", " & ").replace("\n", " \\\\\n").encode(), COMMAS),
    "Parquet in .csv": (parquet(), OK),
    "CSV in .parquet": (PLAIN, OK, "t.parquet"),
    "gzip": (GZ, OK, "t.csv.gz"),
    "gzip in .csv": (GZ, OK),
    "CSV in .gz": (PLAIN, OK, "t.csv.gz"),
    "gzip twice": (gzip.compress(GZ), OK, "t.csv.gz"),
    "gzip cut short": (GZ[:-10], f"cut short or damaged.*{AGAIN}", "t.csv.gz"),
    "gzip damaged": (GZ[:30] + bytes(3) + GZ[33:], f"cut short or damaged.*{AGAIN}", "t.csv.gz"),
    "gzip of nothing": (gzip.compress(b""), "empty", "t.csv.gz"),
    "bzip2": (bz2.compress(PLAIN), OK, "t.csv.bz2"),
    "bzip2 cut short": (bz2.compress(PLAIN)[:-5], f"cut short.*{AGAIN}", "t.csv.bz2"),
    "xz": (lzma.compress(PLAIN), OK, "t.csv.xz"),
    "xz cut short": (lzma.compress(PLAIN)[:-5], f"cut short.*{AGAIN}", "t.csv.xz"),
    "zip": (zipped(t__csv=PLAIN), OK, "t.csv.zip"),
    "zip of two": (zipped(t__csv=PLAIN, u__csv=PLAIN), "2 files.*unpack", "t.csv.zip"),
    "zip of nothing": (zipped(), "0 files.*unpack", "t.csv.zip"),
    "zip cut short": (zipped(t__csv=PLAIN)[:-9], f"cut short.*{AGAIN}", "t.csv.zip"),
    "zstandard": (bytes.fromhex("28b52ffd") + b"\0" * 20, "unpack", "t.csv.zst"),
    "Parquet cut short": (parquet()[:-20], f"cut short or damaged.*{AGAIN}", "t.parquet"),
    "Parquet by its mark alone": (b"PAR1", f"cut short or damaged.*{AGAIN}", "t.parquet"),
    # --- names
    "blanks around a name": (text("ZIF-8", "  ZIF-8 "), OK),
    "no-break space around a name": (text("ZIF-8", "\u00a0ZIF-8"), OK),
    "name with .cif": (text("ZIF-8", "ZIF-8.cif"), SPELL),
    "all with .cif": (re.sub(r"-(\d)", r"-\1.cif", TEXT).encode(), SPELL),
    "all with folders": (re.sub(r"(?m)^(\S+-)", r"my/\1", TEXT).encode(), SPELL),
    "name in another case": (text("ZIF-8", "zif-8"), SPELL),
    "typographic hyphen in a name": (text("ZIF-8", "ZIF\u20118"), SPELL),
    "zero-width blank in a name": (text("ZIF-8", "ZIF\u200b-8"), SPELL),
    "name twice": (PLAIN + b"ZIF-8,9.0,30\n", named("'ZIF-8' stands twice; keep one")),
    "name twice but for blanks": (PLAIN + b" ZIF-8 ,9.0,30\n", named("'ZIF-8' stands twice")),
    "name twice alike": (PLAIN + b"ZIF-8,0.75,30\n", named("'ZIF-8' stands twice")),
    "row without a name": (text("ZIF-8", ""), NAMELESS),
    "others besides": (PLAIN + b"other,1.0,40\n", {"stage": OK, "label": OK}),
    "one is missing": (text("ZIF-8,0.75,30\n", ""), named("not in .*t.csv|left out")),
    # --- numbers
    "exponent": (cell("7.5e-1"), OK),
    "exponent in capitals": (cell("75E-2"), OK),
    "plus sign": (cell("+0.75"), OK),
    "no zero before the point": (cell(".75"), OK),
    "zeros in front": (cell("000.75"), OK),
    "digits without end": (cell("0.75" + "0" * 100), OK),
    "decimal comma": (cell('"0,75"'), f"'0,75' {NUMBER}"),
    "decimal comma without quotes": (cell("0,75"), CELLS),
    "decimal comma and exponent": (cell('"7,5e-1"'), NUMBER),
    "thousands with commas": (cell('"1,000.75"'), NUMBER),
    "thousands with points": (cell('"1.000,75"'), NUMBER),
    "thousands with blanks": (cell("1 000.75"), NUMBER),
    "thousands with apostrophes": (cell("1'000.75"), NUMBER),
    "digits grouped by Python": (cell("0_75"), NUMBER),
    "typographic minus": (cell("\u22120.75"), NUMBER),
    "digits of other scripts": (cell("\u0660.\u0667\u0665"), NUMBER),
    "full-width digits": (cell("\uff10.\uff17\uff15"), NUMBER),
    "unit": (cell("0.75 m2/s"), NUMBER),
    "per cent": (cell("75%"), NUMBER),
    "limit": (cell("<0.75"), NUMBER),
    "about": (cell("~0.75"), NUMBER),
    "range": (cell("0.7-0.8"), NUMBER),
    "error": (cell("0.75±0.1"), NUMBER),
    "error in brackets": (cell("0.75(2)"), NUMBER),
    "exponent of Fortran": (cell("7.5D-1"), NUMBER),
    "exponent of print": (cell("7.5×10^-1"), NUMBER),
    "half an exponent": (cell("7.5e"), NUMBER),
    "hexadecimal": (cell("0x1"), NUMBER),
    "fraction": (cell("3/4"), NUMBER),
    "two points": (cell("0.7.5"), NUMBER),
    "boolean": (cell("True"), NUMBER),
    "booleans throughout": (
        b"mof,D,T\nMOF-5,True,25\nZIF-8,False,30\nHKUST-1,True,35\n", NUMBER,
    ),
    "date": (cell("2024-01-02"), NUMBER),
    "dates throughout": (
        b"mof,D,T\nMOF-5,1.1.24,25\nZIF-8,2.1.24,30\nHKUST-1,3.1.24,35\n", NUMBER,
    ),
    "time": (cell("0:75"), NUMBER),
    "formula": (cell("=3/4"), NUMBER),
    "error of a spreadsheet": (cell("#DIV/0!"), NUMBER),
    "word": (cell("fast"), NUMBER),
    "markup": (cell("<b>0.75</b>"), NUMBER),
    "list": (cell('"[0.75, 0.8]"'), NUMBER),
    "complex": (cell("0.75+0j"), NUMBER),
    "inf": (cell("inf"), "not finite"),
    "-Infinity": (cell("-Infinity"), "not finite"),
    "beyond all floats": (cell("1e400"), "not finite"),
    "empty cell": (cell(""), EMPTY),
    "nan": (cell("nan"), "is empty|left out|not finite"),
    "NA": (cell("NA"), f"is empty|left out|{NUMBER}"),
    "a dash for nothing": (cell("-"), NUMBER),
    "a question mark": (cell("?"), NUMBER),
    "negative": (cell("-0.75"), "above 0|no log10"),
    "zero": (cell("0"), "above 0|no log10"),
    "negative zero": (cell("-0.0"), "above 0|no log10"),
    "too small for a float": (cell("1e-400"), "above 0|no log10"),
    "huge": (cell("1e9"), {"stage": r"beyond .*factors"}),
    # --- types of Parquet
    "whole numbers": (parquet(D=["2.5", "0.75", "14.0"]), OK, "t.parquet"),
    "decimals": (parquet(D=[decimal.Decimal(x) for x in ("2.5", "0.75", "14")]), OK, "t.parquet"),
    "single precision": (parquet(D=FRAME["D"].astype("float32")), OK, "t.parquet"),
    "nullable": (parquet(D=FRAME["D"].astype("Float64")), OK, "t.parquet"),
    "categories": (parquet(mof=FRAME["mof"].astype("category")), OK, "t.parquet"),
    "categories of numbers": (parquet(D=FRAME["D"].astype("category")), OK, "t.parquet"),
    "named index": (parquet(FRAME.set_index("mof")), OK, "t.parquet"),
    "other index": (parquet(FRAME.set_index(pd.Index([7, 8, 9]))), OK, "t.parquet"),
    "text that is no number": (parquet(D=["2.5", "0,75", "14.0"]), NUMBER, "t.parquet"),
    "Parquet without a number": (parquet(D=[2.5, np.nan, 14.0]), EMPTY, "t.parquet"),
    "Parquet with none": (parquet(D=pd.array([2.5, None, 14.0], "Float64")), EMPTY, "t.parquet"),
    "Parquet with inf": (parquet(D=[2.5, np.inf, 14.0]), "not finite", "t.parquet"),
    "Parquet booleans": (parquet(D=[True, False, True]), NUMBER, "t.parquet"),
    "Parquet dates": (parquet(D=pd.date_range("2024-01-01", periods=3)), NUMBER, "t.parquet"),
    "Parquet days": (parquet(D=[datetime.date(2024, 1, 1)] * 3), NUMBER, "t.parquet"),
    "Parquet times": (parquet(D=pd.to_timedelta([1, 2, 3], "s")), NUMBER, "t.parquet"),
    "Parquet lists": (parquet(D=[[2.5], [0.75], [14.0]]), NUMBER, "t.parquet"),
    "Parquet bytes": (parquet(D=[b"2.5", b"0.75", b"14.0"]), NUMBER, "t.parquet"),
    "names in bytes": (parquet(mof=[b"MOF-5", b"ZIF-8", b"HKUST-1"]), "no text", "t.parquet"),
    "names that are dates": (parquet(mof=pd.date_range("2024", periods=3)), "no text", "t.parquet"),
    "name missing": (parquet(mof=["MOF-5", None, "HKUST-1"]), NAMELESS, "t.parquet"),
    "no rows in Parquet": (parquet(FRAME.head(0)), "no rows", "t.parquet"),
}  # fmt: skip


def as_stage(path):
    table = from_files.stage_table(
        "diffusion", [path], name="mof", columns={"d_m2_s": "D"}, factors={"d_m2_s": 1e-8},
        known=STRUCTURES,
    )  # fmt: skip
    rows = table.set_index("name")
    return {
        name: row["d_m2_s"] * 1e8 if row["status"] == "ok" else row["reason"]
        for name, row in rows.iterrows()
    }


def as_label(path):
    found = labels.from_file(
        "d", read_table(path), STRUCTURES, column="D", key="mof", transform="log10"
    )
    values = dict.fromkeys(RIGHT, f"left out: {path}")
    return values | {n: 10**v for n, v in labels.values_of(found, "d").items()}


def as_conditions(path):
    schema = conditions.Schema(
        target_name="D", target=conditions.Column(scale="log"), group="mof",
        numeric={"T": conditions.Column()},
    )  # fmt: skip
    rows, dropped = conditions.read_table(path, schema)
    found = dict.fromkeys(RIGHT, f"dropped: {path}") if len(dropped) else {}
    for row in rows.itertuples():
        # a number is right where it stands with the temperature of its row
        name = [*RIGHT][TEMPERATURES.index(row.T)] if row.T in TEMPERATURES else row.group
        found[name] = row.target
    return found


READERS = {"stage": as_stage, "label": as_label, "conditions": as_conditions}


def judge(found, path, expected) -> None:
    """Values are right; everything else names the file, the reason and the remedy."""
    if isinstance(found, str):
        wrong = [found]
    else:
        wrong = [v for v in found.values() if isinstance(v, str)]
        for name, value in found.items():
            if not isinstance(value, str):
                assert value == pytest.approx(RIGHT[name], rel=1e-12), name
        assert wrong or set(found) >= set(RIGHT)
    assert bool(wrong) == (expected != OK), wrong
    for message in wrong:
        assert str(path) in message
        assert re.search(expected, message, re.DOTALL), message


@pytest.mark.parametrize("what", FILES)
def test_a_hostile_table_is_read_right_or_refused(what, tmp_path):
    data, expected, *name = FILES[what]
    path = tmp_path / (name[0] if name else "t.csv")
    path.write_bytes(data)
    for kind, reader in READERS.items():
        wanted = expected.get(kind) if isinstance(expected, dict) else expected
        if wanted is None:
            continue
        try:
            found = reader(str(path))
        except DataError as error:
            found = str(error)
        judge(found, path, wanted)


def test_what_is_no_file_is_refused(tmp_path):
    """A pipe is not waited for, and a file that must not be read is named."""
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "gone.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "closed.csv").write_bytes(PLAIN)
    (tmp_path / "closed.csv").chmod(0)
    names = ["folder", "link", "loop", "pipe", "none", *(["closed"] if os.getuid() else [])]
    for name in names:
        with pytest.raises(DataError, match=rf"{name}\.csv cannot be read as a table: .*; name a"):
            read_table(tmp_path / f"{name}.csv")
