import pytest

from poreflux.base import device
from poreflux.base.processes import Outcome
from poreflux.run import gpu, stages
from poreflux.run.settings import STAGE_SETTINGS


@pytest.mark.parametrize(
    ("stage", "engine", "has_cuda"),
    [
        ("uptake", "grid", True),
        ("uptake", "raspa3", False),
        ("diffusion", "grid", True),
        ("diffusion", "harmonic", True),
        ("diffusion", "lammps", False),
    ],
)
@pytest.mark.parametrize(
    ("device", "usable", "wanted"),
    [("cpu", True, False), ("auto", True, True), ("auto", False, False), ("cuda", False, True)],
)
def test_who_takes_the_gpu(monkeypatch, stage, engine, has_cuda, device, usable, wanted):
    monkeypatch.setattr(
        gpu, "run_isolated", lambda *_, **__: iter([Outcome(0, usable, "", "", 0.0, 0.0)])
    )
    settings = STAGE_SETTINGS[stage](engine=engine, device=device)
    assert stages._takes_gpu(stages.STAGES[stage], settings) is (has_cuda and wanted)


def test_stages_without_a_gpu_engine_stay_on_the_cpu():
    assert not stages._takes_gpu(stages.STAGES["geometry"], STAGE_SETTINGS["geometry"]())


def test_batches_fill_the_memory():
    found = device.batches([5, 5, 5, 50, 1, 1], lambda size: size, 12)
    assert list(found) == [[5, 5], [5], [50], [1, 1]]


@pytest.mark.parametrize(
    ("chains", "lanes"), [(1, 1), (1056, 1), (1057, 2), (20_000, 19), (33_792, 32), (10**6, 32)]
)
def test_few_chains_share_a_warp_while_there_is_room(chains, lanes):
    """132 multiprocessors of 8 warps: all chains are on the device at once as long as they fit, as
    few in a warp as can be."""
    found = device.lanes_per_warp(chains, 132 * 8)
    assert found == lanes
    if lanes < device.WARP:
        assert -(-chains // found) <= 132 * 8
