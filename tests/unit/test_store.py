"""The content store: what counts for a key, and what damage does."""

import hashlib
import json
import os
import platform
import subprocess
import time
from dataclasses import replace

import numpy as np
import pytest

from poreflux.base.canonical import canonical_json, digest
from poreflux.base.errors import ConfigError, StoreError
from poreflux.base.files import write_atomically
from poreflux.diffusion.lammps_engine import run_folder
from poreflux.run.artifacts import take_or_make
from poreflux.run.cli import main
from poreflux.run.commands.store import store_of
from poreflux.store import MAGIC, Ingredients, Store
from poreflux.store import code as code_module
from poreflux.store.code import IMPORTS, PARTS_OF, code_digest, code_parts
from poreflux.store.pruning import Pruned, prune, unfinished

MADE_OF = Ingredients("energy", "ab" * 32, {}, {"bins": 50}, "code1", {"pyzeo": "0.2.0"})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_put_then_get(store):
    assert store.get(MADE_OF) is None
    store.put(MADE_OF, b"payload \n\0 with any bytes", cpu_s=1.5)
    found = store.get(MADE_OF)
    assert found.payload == b"payload \n\0 with any bytes"
    assert found.manifest["params"] == {"bins": 50}
    versions = found.manifest["facts"].pop("versions")
    assert found.manifest["facts"] == {"cpu_s": 1.5}
    assert versions["python"] == platform.python_version() and versions["numpy"] == np.__version__


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "geometry"},
        {"subject": "cd" * 32},
        {"inputs": {"a": "b"}},
        {"params": {"bins": 10}},
        {"code": "code2"},
        {"engines": {"pyzeo": "0.2.1"}},
    ],
)
def test_every_ingredient_counts(store, change):
    store.put(MADE_OF, b"x")
    assert store.get(replace(MADE_OF, **change)) is None


def test_key_does_not_depend_on_order():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})


PAYLOAD = b"payload \n\0 of any bytes"


def damaged(data):
    """Every truncation, one flipped bit in every byte, and a few more."""
    yield from (data[:n] for n in range(len(data)))
    yield from (data[:i] + bytes([data[i] ^ 1 << i % 8]) + data[i + 1 :] for i in range(len(data)))
    yield from (data + b"\n", b"\0" * len(data), data[::-1], data.replace(b"-1 ", b"-2 ", 1))


def test_damage_is_noticed_set_aside_and_mended(store, caplog):
    store.put(MADE_OF, PAYLOAD)
    path = store.path(MADE_OF)
    whole = path.read_bytes()
    aside = store.root / "damaged" / path.name
    for bad in damaged(whole):
        path.write_bytes(bad)
        assert store.get(MADE_OF) is None, bad
        assert not path.exists() and aside.read_bytes() == bad
    assert "damaged store entry" in caplog.text
    assert store.get_or_make(MADE_OF, lambda: PAYLOAD) == PAYLOAD
    assert store.get(MADE_OF).payload == PAYLOAD


def test_a_whole_entry_under_the_wrong_name_is_damage(store):
    store.put(MADE_OF, PAYLOAD)
    other = replace(MADE_OF, params={"bins": 10})
    store.path(MADE_OF).rename(store.path(other))
    assert store.get(other) is None


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_an_error_with_a_remedy_and_costs_nothing_stored(full_disk):
    store = Store(full_disk)
    store.put(MADE_OF, PAYLOAD)
    with pytest.raises(StoreError, match=r"No space left on device; free space or set"):
        store.put(replace(MADE_OF, subject="cd" * 32), bytes(300_000))
    assert [p for p in full_disk.rglob("*") if p.is_file()] == [store.path(MADE_OF)]
    assert store.get(MADE_OF).payload == PAYLOAD


def test_a_read_only_store_is_read_and_a_new_entry_is_a_clear_error(tmp_path, full_disk):
    store = Store(full_disk)
    store.put(MADE_OF, PAYLOAD)
    spoilt = replace(MADE_OF, subject="cd" * 32)
    store.put(spoilt, PAYLOAD)
    store.path(spoilt).write_bytes(b"spoilt")
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)
    assert store.get(MADE_OF).payload == PAYLOAD
    # it cannot be set aside; it is a miss all the same
    assert store.get(spoilt) is None and store.path(spoilt).exists()
    with pytest.raises(StoreError, match="Read-only file system"):
        store.put(replace(MADE_OF, subject="ef" * 32), PAYLOAD)
    with pytest.raises(StoreError, match=r"cannot remove .*Read-only"):
        prune(store, older_than_days=0)


def test_a_killed_writer_leaves_nothing_that_counts(store, monkeypatch):
    def crash(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(StoreError, match="No space left"):
        store.put(MADE_OF, b"x")
    assert store.get(MADE_OF) is None
    assert [p for p in store.root.rglob("*") if p.is_file()] == []
    # what a kill -9 leaves is a temporary file: never listed
    (store.path(MADE_OF).parent / ".half-written").write_bytes(b"x")
    assert list(store.entries()) == []


def test_why_names_the_ingredient(store):
    assert "never computed" in store.why(MADE_OF)
    store.put(MADE_OF, b"x")
    assert "stored as" in store.why(MADE_OF)
    text = store.why(replace(MADE_OF, params={"bins": 10}, code="code2"))
    assert "params.bins 50 -> 10" in text and "code changed" in text


@pytest.fixture
def three(store):
    """Paths of three entries of 1000 bytes and more, three, two and one days old."""
    paths = []
    for k, subject in enumerate(("aa" * 32, "bb" * 32, "cc" * 32)):
        made_of = replace(MADE_OF, subject=subject)
        store.put(made_of, bytes(1000))
        paths.append(store.path(made_of))
        written = time.time() - (3 - k) * 86400 - 60
        os.utime(paths[-1], (written, written))
    return paths


def left(store):
    return sorted(store.entries())


def test_prune_by_age(store, three):
    assert prune(store, older_than_days=4)[0] == 0
    assert prune(store, older_than_days=2)[0] == 2
    assert left(store) == three[2:]


def test_prune_by_size_takes_the_oldest_first(store, three):
    sizes = [p.stat().st_size for p in three]
    assert prune(store, max_bytes=sum(sizes)) == Pruned(0, 0, 0)
    assert prune(store, max_bytes=sum(sizes) - 1, dry_run=True) == Pruned(1, 0, sizes[0])
    assert left(store) == three
    assert prune(store, max_bytes=sum(sizes) - 1) == Pruned(1, 0, sizes[0])
    assert left(store) == three[1:]


def test_prune_by_what_is_used(store, three):
    used = {str(three[0]), str(three[2])}
    assert prune(store, only=used, older_than_days=2)[0] == 1
    assert left(store) == three[1:]
    assert prune(store, but=used, stage="uptake")[0] == 0
    assert prune(store, but=used)[0] == 1
    assert left(store) == three[2:]


def test_prune_sweeps_up_after_killed_writers(store, three):
    old, new = (three[0].parent / f".{k}-half" for k in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert prune(store, older_than_days=9)[0] == 0
    assert new.exists() and not old.exists()


@pytest.fixture
def interrupted(store, three):
    """What is left of three runs, 9, 9 and half a day old; the result of the first is stored."""
    keys = [three[2].name.rpartition(".")[2], "e" * 64, "f" * 64]
    folders = [store.root / "running" / "energy" / key for key in keys]
    for folder, days in zip(folders, (9, 9, 0.5), strict=True):
        folder.mkdir(parents=True)
        for path in (folder / "lock", folder / "restart.1", folder):
            if path != folder:
                path.write_bytes(bytes(500))
            os.utime(path, (time.time() - days * 86400,) * 2)
    return folders


def kept(store):
    return sorted(run.path for run in unfinished(store))


def test_a_run_is_pruned_when_its_result_is_stored(store, three, interrupted):
    done, *others = interrupted
    assert kept(store) == sorted(interrupted)
    assert {run.bytes for run in unfinished(store)} == {1000}
    assert prune(store, older_than_days=30, stage="uptake") == Pruned(0, 0, 0)
    assert prune(store, older_than_days=30, dry_run=True) == Pruned(0, 1, 1000)
    assert kept(store) == sorted(interrupted)
    assert prune(store, older_than_days=30) == Pruned(0, 1, 1000)
    assert kept(store) == sorted(others) and not done.exists()
    assert left(store) == three


def test_a_run_that_could_be_gone_on_from_is_pruned_by_age_alone(store, interrupted):
    _, old, new = interrupted
    assert prune(store, max_bytes=0).entries == 3
    assert prune(store, older_than_days=4, but=set()).runs == 0
    assert kept(store) == sorted((old, new))
    assert prune(store, older_than_days=4) == Pruned(0, 1, 1000)
    # not even on demand: its process may be alive
    assert prune(store, older_than_days=0.1).runs == 0
    assert kept(store) == [new]


def test_a_run_that_a_process_holds_is_not_pruned(store, interrupted):
    done, old, _ = interrupted
    with run_folder(None, done), run_folder(None, old):
        for path in (*done.iterdir(), done, *old.iterdir(), old):
            os.utime(path, (time.time() - 9 * 86400,) * 2)
        assert prune(store, older_than_days=4).runs == 0
        assert kept(store) == sorted(interrupted)


def test_list_counts_entries_and_runs(store, three, interrupted, capsys):
    (three[0].parent / ".half-written").write_bytes(b"x")
    assert main(["store", "--store", str(store.root), "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [["energy", "3", "3"], ["all", "3", "0.0"]]
    assert lines[3:] == [
        "0 damaged and set aside, 1 half-written",
        "3 unfinished runs, 0.0 MB, the oldest last written to 9.0 days ago",
    ]
    older = ["prune", "--older-than-days", "5"]
    assert main(["store", "--store", str(store.root), *older, "--dry-run"]) == 0
    assert capsys.readouterr().out == "would remove 0 entries and 2 interrupted runs, 0.0 MB\n"
    assert main(["store", "--store", str(store.root), *older]) == 0
    assert capsys.readouterr().out == "removed 0 entries and 2 interrupted runs, 0.0 MB\n"


def test_the_command_line_takes_the_store_of_the_study(tmp_path, monkeypatch):
    monkeypatch.setenv("POREFLUX_STORE", str(tmp_path / "everybody's"))
    path = tmp_path / "my.yaml"
    path.write_text(f"store: {tmp_path / 'mine'}\n")

    def root(*arguments):
        return store_of(*arguments).root.name

    assert root(None, [path]) == "mine"
    # of prune: used by the study, not used by it
    assert root(None, None, [path]) == "mine"
    assert root("other", [path]) == "other"
    assert root(None, []) == root(None) == "everybody's"


def test_atomic_write_replaces_whole(tmp_path):
    path = tmp_path / "a" / "b.txt"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["b.txt"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A toy package in the place of poreflux: a imports b, which imports d."""
    (tmp_path / "rooms").mkdir()
    for file, text in (
        ("__init__.py", ""),
        ("a.py", "def f():\n    from poreflux.b import g\n    return g()\n"),
        ("b.py", "import os\nfrom poreflux.d import h\n\n\ndef g():\n    return h()\n"),
        ("c.py", "x = 1\n"),
        ("d.py", "def h():\n    return 1\n"),
        ("e.py", "def h():\n    return 2\n"),
        ("rooms/__init__.py", '"""Nothing but words."""\n'),
    ):
        (tmp_path / file).write_text(text)
    monkeypatch.setattr(code_module, "PACKAGE", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget():
    code_module._module.cache_clear()
    code_module._script.cache_clear()


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        (
            "b.py",
            "# comment\nimport os\nfrom poreflux.d import h\n"
            'def g():\n    """Doc."""\n    return h()\n',
            False,
        ),
        ("c.py", "x = 2\n", False),
        ("b.py", "import os\nfrom poreflux.d import h\ndef g():\n    return h() + 1\n", True),
        ("d.py", "def h():\n    return 3\n", True),
        # the same words, another module behind them
        ("b.py", "import os\nfrom poreflux.e import h\n\n\ndef g():\n    return h()\n", True),
    ],
)
def test_code_digest_sees_the_code_of_the_closure(package, file, text, changes):
    before = code_digest("poreflux.a")
    (package / file).write_text(text)
    forget()
    assert (code_digest("poreflux.a") != before) == changes


def test_code_digest_counts_a_setting_but_not_its_meaning(package):
    def digest(field):
        code = f"class Settings:\n    cutoff_A: float = Field({field})\n\n\ndef h(): pass\n"
        (package / "d.py").write_text(code)
        forget()
        return code_digest("poreflux.a")

    one = digest('1.0, gt=0, description="cutoff"')
    assert digest('1.0, gt=0, description="Lennard-Jones " "cutoff"') == one
    assert digest('2.0, gt=0, description="cutoff"') != one
    assert digest('1.0, ge=0, description="cutoff"') != one


def test_code_digest_outlives_a_move_and_a_renaming(package):
    before = code_digest("poreflux.a")
    (package / "d.py").rename(package / "rooms" / "z.py")
    (package / "b.py").write_text(
        "import os\nfrom poreflux.rooms.z import h\n\n\ndef g():\n    return h()\n"
    )
    forget()
    assert code_digest("poreflux.a") == before


def test_a_module_outside_is_not_read(package):
    (package / "b.py").write_text("this is no Python")
    assert set(code_parts("poreflux.c")) == {"poreflux.c", IMPORTS}


def test_what_a_script_imports_counts(package, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from poreflux import c\nfrom poreflux.b import g\ng(c.x)\n")
    assert set(code_parts(script)) == {"poreflux.b", "poreflux.c", "poreflux.d", IMPORTS}
    without = code_parts(script, without=("poreflux.d",))
    assert set(without) == {"poreflux.b", "poreflux.c", IMPORTS}


def test_code_digest_without_a_module(package):
    whole, part = code_digest("poreflux.a"), code_digest("poreflux.a", without=("poreflux.b",))
    assert whole != part
    (package / "b.py").write_text("def g():\n    return 2\n")
    forget()
    assert code_digest("poreflux.a", without=("poreflux.b",)) == part
    assert code_digest("poreflux.a") != whole


def test_why_names_the_modules_that_changed(package, store):
    old = replace(MADE_OF, code=code_digest("poreflux.a"))
    store.put(old, b"x")
    (package / "d.py").write_text("def h():\n    return 2\n")
    forget()
    new = replace(MADE_OF, code=code_digest("poreflux.a"))
    assert store.why(new).endswith(": code of poreflux.d changed")
    # parts that were lost or damaged
    (kept,) = (store.root / "code").iterdir()
    kept.write_text("{}")
    assert store.why(new).endswith(": code changed")


def test_verify_finds_an_entry_whose_ingredients_are_not_its_key(store):
    store.put(MADE_OF, PAYLOAD)
    path = store.path(MADE_OF)
    assert store.verify(path)
    # somebody mended the parameters in the manifest, and the checksum after it
    _, _, body = path.read_bytes().partition(b"\n")
    text, _, payload = body.partition(b"\n")
    manifest = json.loads(text)
    manifest["params"] = {"bins": 99}
    body = canonical_json(manifest).encode() + b"\n" + payload
    path.write_bytes(f"{MAGIC} {hashlib.sha256(body).hexdigest()}\n".encode() + body)
    assert store.manifest(path) is not None
    assert not store.verify(path)
    assert (store.root / "damaged" / path.name).exists() and not path.exists()


@pytest.mark.parametrize("body", [b"no json\nx", b"[]\nx", b'{"key": 1}\n', b""])
def test_an_entry_of_another_program_is_set_aside(store, body, caplog):
    path = store.path(MADE_OF)
    path.parent.mkdir(parents=True)
    path.write_bytes(f"{MAGIC} {hashlib.sha256(body).hexdigest()}\n".encode() + body)
    assert store.get(MADE_OF) is None
    assert f"{path} (truncated, or of another or a newer program) set aside" in caplog.text


def test_an_entry_that_cannot_be_opened_is_named_with_a_remedy(store):
    store.path(MADE_OF).mkdir(parents=True)
    with pytest.raises(StoreError, match=rf"{store.path(MADE_OF)}: Is a directory; remove it"):
        store.get(MADE_OF)


def test_an_entry_that_holds_no_result_is_named_with_a_remedy(store):
    store.put(MADE_OF, b"{}")
    with pytest.raises(StoreError, match=rf"{store.path(MADE_OF)} holds no rows.*remove it"):
        take_or_make(
            {"A": MADE_OF}, lambda names: (), store, what="rows",
            encode=None, decode=lambda payload, facts: json.loads(payload)["rows"], keep=None,
        )  # fmt: skip


@pytest.mark.parametrize("limit", [{"older_than_days": -1}, {"older_than_days": float("nan")},
                                   {"max_bytes": -1.0}, {"max_bytes": float("nan")}])  # fmt: skip
def test_limits_that_mean_nothing_prune_nothing(store, limit):
    store.put(MADE_OF, PAYLOAD)
    with pytest.raises(ConfigError, match="not negative"):
        prune(store, **limit)
    assert store.get(MADE_OF)


@pytest.mark.parametrize("mode", [0o2777, 0o2770, 0o755, 0o700])
def test_folders_and_files_take_the_mode_of_the_root(tmp_path, mode):
    """As git's core.sharedRepository: whoever may write to the root may write everywhere."""
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(mode)
    store = Store(root)
    before = os.umask(0o027)
    try:
        PARTS_OF[MADE_OF.code] = {"a": "b"}
        store.put(MADE_OF, PAYLOAD)
        store.make_folder(root / "running" / "diffusion")
        store.path(MADE_OF).write_bytes(b"spoilt")
        store.get(MADE_OF)
    finally:
        os.umask(before)
        del PARTS_OF[MADE_OF.code]
    store.put(MADE_OF, PAYLOAD)
    for path in root.rglob("*"):
        wanted = mode if path.is_dir() else mode & 0o666
        if path.parent.name != "damaged":
            assert path.stat().st_mode & 0o7777 == wanted, path
    assert {"objects", "code", "damaged", "running"} == {p.name for p in root.iterdir()}
