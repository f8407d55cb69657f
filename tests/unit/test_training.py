import time

import pytest

from poreflux.run.training import Scratch, _resumed
from poreflux.store import Ingredients, Store

MADE_OF = Ingredients("finetune", "5" * 64, {}, {"draws": [0, 4]}, "code", {})


def busy(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_time_before_an_interruption_counts(tmp_path):
    store = Store(tmp_path)

    def killed(checkpoint):
        busy(0.3)
        checkpoint.save("networks-0", b"half")
        raise KeyboardInterrupt

    def finished(checkpoint):
        assert checkpoint.load("networks-0") == b"half"
        busy(0.1)
        return b"whole"

    with pytest.raises(KeyboardInterrupt):
        _resumed(store, MADE_OF, killed, models=5, on_gpu=True)
    assert _resumed(store, MADE_OF, finished, models=5, on_gpu=True) == b"whole"
    facts = store.manifest(store.path(MADE_OF))["facts"]
    assert facts["models"] == 5
    assert 0.4 <= facts["cpu_s"] < 2.0 and facts["gpu_s"] >= 0.4
    assert not Scratch(store, MADE_OF).folder.exists()


def test_a_damaged_checkpoint_is_not_used(tmp_path, caplog):
    scratch = Scratch(Store(tmp_path), MADE_OF)
    scratch.save("networks-0", b"half of the weights")
    files = sorted(scratch.folder.iterdir())
    assert [path.name for path in files] == ["networks-0", "spent.json"]
    whole = {path: path.read_bytes() for path in files}
    for path, data in whole.items():
        for bad in (data[:-1], b"", data[:-3] + b"9" + data[-2:], data.partition(b"\n")[2]):
            path.write_bytes(bad)
            assert scratch.load(path.name) is None
        path.write_bytes(data)
    assert f"{files[0]} is damaged and not used" in caplog.text
    # the time spent before starts from nothing
    files[1].write_bytes(b'{"cpu_s": 1e9, "wall_s": 1e9}')
    assert Scratch(Store(tmp_path), MADE_OF).spent()["cpu_s"] < 1e6
    assert scratch.load("networks-0") == b"half of the weights"
