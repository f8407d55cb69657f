"""The content store: what counts for a key, and what damage does."""

import os
from dataclasses import replace

import pytest

from poreflux import store as store_module
from poreflux.errors import StoreError
from poreflux.store import (
    Ingredients,
    Store,
    code_digest,
    code_parts,
    digest,
    prune,
    write_atomically,
)

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
    assert found.manifest["facts"] == {"cpu_s": 1.5}


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


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "garbage"])
def test_damage_is_noticed_set_aside_and_mended(store, damage):
    store.put(MADE_OF, b"payload")
    path = store.path(MADE_OF)
    data = path.read_bytes()
    bad = {
        "truncated": data[:-3],
        "empty": b"",
        "flipped": data[:-1] + bytes([data[-1] ^ 1]),
        "garbage": b"garbage",
    }[damage]
    path.write_bytes(bad)
    assert store.get(MADE_OF) is None
    assert not path.exists()
    assert len(list((store.root / "damaged").iterdir())) == 1
    store.put(MADE_OF, b"payload")
    assert store.get(MADE_OF).payload == b"payload"


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


def test_prune_by_age(store):
    store.put(MADE_OF, b"x")
    assert prune(store, older_than_days=1)[0] == 0
    os.utime(store.path(MADE_OF), (0, 0))
    assert prune(store, older_than_days=1)[0] == 1
    assert store.get(MADE_OF) is None


def test_atomic_write_replaces_whole(tmp_path):
    path = tmp_path / "a" / "b.txt"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["b.txt"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A toy package in the place of poreflux: a imports b, b names a data file."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "t.csv").write_text("1\n")
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "a.py").write_text("def f():\n    from poreflux.b import g\n    return g()\n")
    (tmp_path / "b.py").write_text('def g():\n    return "data/t.csv"\n')
    (tmp_path / "c.py").write_text("x = 1\n")
    monkeypatch.setattr(store_module, "PACKAGE", tmp_path)
    code_parts.cache_clear()
    yield tmp_path
    code_parts.cache_clear()


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        ("b.py", '# comment\ndef g():\n    """Doc."""\n    return "data/t.csv"\n', False),
        ("c.py", "x = 2\n", False),
        ("b.py", 'def g():\n    return "data/t.csv" + ""\n', True),
        ("data/t.csv", "2\n", True),
    ],
)
def test_code_digest_sees_code_and_data_of_the_closure(package, file, text, changes):
    before = code_digest("poreflux.a")
    (package / file).write_text(text)
    code_parts.cache_clear()
    assert (code_digest("poreflux.a") != before) == changes


def test_code_digest_without_a_module(package):
    whole, part = code_digest("poreflux.a"), code_digest("poreflux.a", without=("poreflux.b",))
    assert whole != part
    for file, text in (("b.py", "def g():\n    return 2\n"), ("data/t.csv", "3\n")):
        (package / file).write_text(text)
    code_parts.cache_clear()
    assert code_digest("poreflux.a", without=("poreflux.b",)) == part
    assert code_digest("poreflux.a") != whole


def test_why_names_the_modules_and_data_that_changed(package, store):
    old = replace(MADE_OF, code=code_digest("poreflux.a"))
    store.put(old, b"x")
    (package / "b.py").write_text('def g():\n    return 2, "data/t.csv"\n')
    (package / "data" / "t.csv").write_text("2\n")
    code_parts.cache_clear()
    new = replace(MADE_OF, code=code_digest("poreflux.a"))
    assert store.why(new).endswith(": code of data/t.csv, poreflux.b changed")
    # parts that were lost or damaged
    (kept,) = (store.root / "code").iterdir()
    kept.write_text("{}")
    assert store.why(new).endswith(": code changed")
