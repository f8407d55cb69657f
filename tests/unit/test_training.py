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
