"""Records in files of results: what they were made of, and what is done about wrong ones."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from snakemake.scheduling.job_scheduler import JobScheduler

from poreflux.base.errors import DataError
from poreflux.base.processes import identity_of
from poreflux.base.records import Record, read_model, record_of, stamp_model, stamp_page
from poreflux.base.tables import read_table, write_table
from poreflux.learning.container import pack
from poreflux.run import job as jobs
from poreflux.run.lineage import Expected, check_inputs, expected_record

RECORD = Record(("uptake.cutoff_A = 12.0", 'note = "a--b -->"'), "ab", "cd")
TABLE = pd.DataFrame({"name": ["A", "B"], "d_m2_s": [1e-9, 2e-9], "frac": [[0.0, 0.5], [0.25]]})


@pytest.fixture
def stamped(tmp_path):
    """A table, a model and a page with a record."""
    write_table(TABLE, tmp_path / "a.parquet", RECORD)
    (tmp_path / "a.npz").write_bytes(stamp_model(pack({"w": np.arange(9.0)}), RECORD))
    (tmp_path / "a.html").write_text("<!doctype html><p>text</p>\n")
    stamp_page(tmp_path / "a.html", RECORD)
    return tmp_path


def test_every_kind_of_file_carries_its_record_and_reads_as_before(stamped):
    for name in ("a.parquet", "a.npz", "a.html"):
        assert record_of(stamped / name) == RECORD
    assert read_table(stamped / "a.parquet")["d_m2_s"].to_list() == [1e-9, 2e-9]
    assert np.load(stamped / "a.npz")["w"].tolist() == [*range(9)]
    # a model's digest is that of what was trained
    assert read_model(stamped / "a.npz") == pack({"w": np.arange(9.0)})
    assert (stamped / "a.html").read_text().count("--") == 2


def test_a_file_without_a_record_has_none(tmp_path):
    TABLE.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.npz").write_bytes(pack({"w": np.arange(9.0)}))
    (tmp_path / "b.npz").write_text("no archive")
    (tmp_path / "a.html").write_text("<p>text</p>")
    for path in [*tmp_path.iterdir(), tmp_path / "none.parquet"]:
        assert record_of(path) is None
    assert read_model(tmp_path / "a.npz") == pack({"w": np.arange(9.0)})


@pytest.mark.parametrize(
    ("name", "read"), [("a.parquet", read_table), ("a.npz", read_model)], ids=["table", "model"]
)
def test_what_is_truncated_or_damaged_is_named_with_its_remedy(stamped, name, read):
    path = stamped / name
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.find(np.float64(2e-9 if name == "a.parquet" else 5.0).tobytes())] ^= 1
    for bad in (b"", whole[: len(whole) // 2], b"name,d\nA,1\n", bytes(flipped)):
        path.write_bytes(bad)
        with pytest.raises(DataError, match=rf"{name} is (truncated|damaged).*delete it") as error:
            read(path)
        assert str(path) in str(error.value)


def test_equal_tables_have_equal_bytes_and_a_record_changes_no_column(tmp_path):
    write_table(TABLE, tmp_path / "a.parquet", RECORD)
    write_table(TABLE.copy(), tmp_path / "b.parquet", RECORD)
    write_table(TABLE, tmp_path / "c.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "a.parquet"), read_table(tmp_path / "c.parquet")
    )


# What is expected of inputs


def members(folder, names):
    for name in names:
        (folder / f"{name}.cif").write_text(f"data_{name}")
    return {name: str(folder / f"{name}.cif") for name in names}


def joined(folder, shards):
    """The record of the joined energy table of five CIFs in some shards."""
    cifs = members(folder, "ABCDE")
    tables = {}
    for i in range(shards):
        mine = dict([*cifs.items()][i::shards])
        read = Expected(("read",), dict.fromkeys(mine.values()), mine)
        path = f"results/s/target/shards/structures/{i}-of-{shards}.parquet"
        energy = Expected(("bins = 50",), {path: ("read",)})
        record = expected_record(energy, {path: expected_record(read, {})})
        tables[path.replace("structures", "energy")] = record
    collect = Expected(("collect",), dict.fromkeys(tables, ("bins = 50",)))
    return expected_record(collect, tables)


def test_a_joined_table_has_one_record_whatever_the_number_of_shards(tmp_path):
    one = joined(tmp_path, 1)
    assert one == joined(tmp_path, 2) == joined(tmp_path, 3)
    (tmp_path / "elsewhere").mkdir()
    assert joined(tmp_path / "elsewhere", 2) == one


def test_the_content_of_a_cif_its_name_and_any_earlier_setting_count(tmp_path):
    cifs = members(tmp_path, "AB")
    path = "results/s/target/shards/structures/0-of-1.parquet"

    def record(words=("read",), cifs=cifs):
        read = Expected(words, dict.fromkeys(cifs.values()), cifs)
        return expected_record(
            Expected(("energy",), {path: words}), {path: expected_record(read, {})}
        )

    first = record()
    assert record(("read otherwise",)).made_from != first.made_from
    assert record(cifs={"A": cifs["A"], "renamed": cifs["B"]}).sources != first.sources
    assert record(cifs={"A": cifs["A"], "B": str(tmp_path / "gone.cif")}).sources != first.sources
    # comments and spaces say nothing
    (tmp_path / "B.cif").write_text("# from elsewhere\r\n  data_B\r\n")
    assert record() == first
    (tmp_path / "B.cif").write_text("data_other")
    assert record().sources != first.sources


def test_an_input_made_with_other_settings_is_refused_by_name(tmp_path):
    path = str(tmp_path / "uptake.parquet")
    write_table(TABLE, path, Record(("uptake.temperature_K = 298.0", "code = 1"), "", "0"))
    same = Expected((), {path: ("uptake.temperature_K = 298.0", "code = 1")})
    assert check_inputs(same)[path].words == same.inputs[path]
    other = Expected((), {path: ("uptake.temperature_K = 300.0", "code = 1")})
    with pytest.raises(DataError) as error:
        check_inputs(other)
    for part in (path, "with uptake.temperature_K = 298.0", "now: uptake.temperature_K = 300.0"):
        assert part in str(error.value)
    assert "code" not in str(error.value) and "delete it" in str(error.value)
    TABLE.to_parquet(path)
    with pytest.raises(DataError, match="carries no record"):
        check_inputs(same)


# Jobs that outlive their Snakemake


def test_a_process_is_known_by_its_number_and_its_start():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    seen = identity_of(child.pid)
    assert seen.startswith(f"{child.pid} ") and seen == identity_of(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert identity_of(child.pid) == ""  # dead, though its number is not free yet
    child.wait()
    assert identity_of(child.pid) == ""


@pytest.mark.parametrize("taken", [False, True])
def test_a_job_whose_snakemake_is_gone_writes_nothing(tmp_path, monkeypatch, taken):
    job = SimpleNamespace(params={}, log=[str(tmp_path / "log")])
    monkeypatch.setattr(jobs, "die_with_parent", lambda: None)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(jobs.logging, "basicConfig", lambda **_: None)
    monkeypatch.setattr(jobs.logging, "captureWarnings", lambda _: None)
    monkeypatch.setenv(jobs.SNAKEMAKE, identity_of(os.getpid()))
    results = jobs.start_job(job)
    results.write_table(TABLE, tmp_path / "a.parquet")
    # its number may be another process's by now
    gone = f"{os.getpid()} 1" if taken else "999999999 1"
    monkeypatch.setenv(jobs.SNAKEMAKE, gone)
    with pytest.raises(SystemExit):
        results.write_table(TABLE, tmp_path / "b.parquet")
    with pytest.raises(SystemExit):
        results.write_model(pack({"w": np.arange(3.0)}), tmp_path / "b.npz")
    with pytest.raises(SystemExit):
        jobs.start_job(job)
    assert not [*tmp_path.glob("b.*")]


def test_snakemake_ends_when_told_to_while_it_chooses_jobs(monkeypatch):
    """SIGTERM in the main thread while that holds the scheduler's lock."""
    monkeypatch.setattr(JobScheduler, "exit_gracefully", JobScheduler.exit_gracefully)
    jobs.answer_sigterm_in_a_thread(JobScheduler)
    jobs.answer_sigterm_in_a_thread(JobScheduler)
    scheduler = JobScheduler.__new__(JobScheduler)
    scheduler._lock, scheduler._open_jobs = threading.Lock(), threading.Semaphore(0)
    scheduler._user_kill = None
    before = signal.signal(signal.SIGTERM, scheduler.exit_gracefully)
    try:
        with scheduler._lock:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)  # here the handler runs
            assert scheduler._user_kill is None
        # what the main thread waits for next
        assert scheduler._open_jobs.acquire(timeout=20)
        assert scheduler._user_kill == "graceful"
    finally:
        signal.signal(signal.SIGTERM, before)
