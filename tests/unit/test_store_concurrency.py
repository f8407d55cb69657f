"""Many processes on the same keys: nothing damaged, nothing lost, little done twice."""

import json
import multiprocessing
import os
import time
from collections import Counter

import pytest

from poreflux.store import Ingredients, Store
from poreflux.store.pruning import prune

PROCESSES = 8
SECONDS = float(os.environ.get("POREFLUX_STORE_TEST_SECONDS", "15"))
SUBJECTS = 40


def made_of(number, round_):
    """One of 40 structures in one of many rounds of parameters."""
    return Ingredients("energy", f"{number:064x}", {}, {"round": round_}, "code", {})


def payload(number, round_):
    return f"{number} {round_} ".encode() * 2000


def work(folder, process, end, counts):
    """Look every key up, put what is missing, check what is found; one round after another."""
    store, made, found, round_ = Store(folder), Counter(), 0, 0
    while time.time() < end:
        for k in range(SUBJECTS):
            number = (k + process * SUBJECTS // PROCESSES) % SUBJECTS
            artifact = store.get(made_of(number, round_))
            if artifact is None:
                store.put(made_of(number, round_), payload(number, round_))
                made[f"{number} {round_}"] += 1
            else:
                assert artifact.payload == payload(number, round_)
                found += 1
        round_ += 1
    (counts / f"{process}.json").write_text(json.dumps([made, found, round_]))


@pytest.mark.slow("eight processes for 15 s")
def test_eight_processes_on_the_same_keys(tmp_path):
    folder, counts = tmp_path / "store", tmp_path / "counts"
    counts.mkdir()
    end = time.time() + SECONDS
    fork = multiprocessing.get_context("fork")
    running = [fork.Process(target=work, args=(folder, k, end, counts)) for k in range(PROCESSES)]
    for process in running:
        process.start()
    store = Store(folder)
    while time.time() < end:  # someone lists and prunes meanwhile
        prune(store, older_than_days=1)
        time.sleep(0.5)
    for process in running:
        process.join(60)
        assert process.exitcode == 0
    results = [json.loads(p.read_text()) for p in counts.iterdir()]
    assert len(results) == PROCESSES
    made = sum((Counter(r[0]) for r in results), Counter())
    # no process made a key twice, so whatever was made twice was a race
    assert all(n == 1 for r in results for n in r[0].values())
    assert sum(r[1] for r in results) > 0
    # no entry lost, none damaged, nothing half-written left
    assert len(list(store.entries())) == len(made)
    for key in made:
        number, round_ = map(int, key.split())
        assert store.get(made_of(number, round_)).payload == payload(number, round_)
    assert not (folder / "damaged").exists() and not list(store.leftovers())
    # all start anew at the same keys in each round, the worst case, with nothing between
    # looking up and writing: still most keys are made by one alone
    assert made.total() < 2 * len(made)
