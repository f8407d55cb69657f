import pytest

from poreflux.base import device
from poreflux.base.processes import Outcome
from poreflux.run import gpu, stages
from poreflux.run.settings import STAGE_SETTINGS


@pytest.mark.parametrize("stage", ["uptake", "diffusion"])
@pytest.mark.parametrize(
    ("params", "usable", "expected"),
    [
        ({"device": "cpu"}, True, False),
        ({"device": "auto"}, True, True),
        ({"device": "auto"}, False, False),
        ({"device": "auto", "engine": "reference"}, True, False),
        ({"device": "cuda", "engine": "reference"}, True, False),
        ({"device": "cuda"}, False, True),
    ],
)
def test_who_takes_the_gpu(monkeypatch, stage, params, usable, expected):
    if "engine" in params:
        params = params | {"engine": {"uptake": "raspa3", "diffusion": "lammps"}[stage]}
    monkeypatch.setattr(
        gpu, "run_isolated", lambda *_, **__: iter([Outcome(0, usable, "", "", 0.0, 0.0)])
    )
    assert stages._takes_gpu(stages.STAGES[stage], STAGE_SETTINGS[stage](**params)) is expected


def test_stages_without_a_gpu_engine_stay_on_the_cpu():
    assert not stages._takes_gpu(stages.STAGES["geometry"], STAGE_SETTINGS["geometry"]())


def test_batches_fill_the_memory():
    found = device.batches([5, 5, 5, 50, 1, 1], lambda size: size, 12)
    assert list(found) == [[5, 5], [5], [50], [1, 1]]
