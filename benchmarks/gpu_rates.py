"""Steps of the record on a GPU: how fast the engines are, beside one core of the same machine."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import gpu_record as of_record
import numpy as np
from gpu_bench import (
    SEED,
    SIMULATED,
    Bench,
    Effort,
    cores,
    isotherms_of,
    kernels_for_device,
    with_channel,
)
from numba import cuda

from poreflux.base import device
from poreflux.diffusion import cuda as md
from poreflux.diffusion import grid_engine, harmonic, harmonic_cuda
from poreflux.uptake import cuda as gcmc
from poreflux.uptake import grid

# Published pressures of Lim & Kim as fugacities of methane, bar: those of a study's isotherm.
FUGACITIES_BAR = (
    0.998, 1.991, 5.726, 9.782, 14.513, 19.143, 28.109, 36.705, 44.956, 56.739, 67.884, 81.898,
)  # fmt: skip


def advance(lanes, chains: list, steps: int, threads: int | None = None) -> tuple[int, float]:
    """Steps of all chains on the device together, and the seconds of its launches."""
    done, seconds = 0, 0.0
    left = dict.fromkeys(chains, steps)
    while left:
        lanes.hold(chains)
        start = time.monotonic()
        lanes.advance([(chain, n, grid.NO_LIMIT) for chain, n in left.items()], threads)
        seconds += time.monotonic() - start
        full = False
        for chain in list(left):
            moved, _, _, is_full = lanes.outcome(chain)
            done += moved
            left[chain] -= moved
            full |= is_full
            if left[chain] <= 0:
                left.pop(chain)
        if full:
            lanes.fetch()
            for chain in chains:
                if chain.state["is_full"][0]:
                    chain.allocate(2 * chain.capacity)
    return done, seconds


def _timed(work: Callable[[int], tuple[int, float]], least: int, most: int, effort) -> dict:
    """Rate of ``work(n)``, which returns what it did and its seconds, at ``n`` that take a while.

    ``n`` is a multiple of ``least``.
    """
    done, seconds = work(least)
    n = least
    if effort.launch_s:
        # what a launch costs beside its steps must not count twice
        n = least * max(1, min(most // least, int(effort.launch_s / max(seconds, 1e-6))))
        done, seconds = work(n)
        n = least * max(1, min(most // least, int(n / least * effort.launch_s / seconds)))
    rates = []
    for _ in range(effort.repeats):
        done, seconds = work(n)
        rates.append(done / seconds)
    return {"per_s": float(np.median(rates)), "spread": float(np.ptp(rates) / np.median(rates)),
            "n": n, "seconds": seconds}  # fmt: skip


def rate_gcmc(bench: Bench) -> dict:
    """Monte Carlo steps a second: numbers of chains, and threads of a block."""
    effort = bench.effort
    fugacities = FUGACITIES_BAR if not SIMULATED else bench.checks.fugacities_bar
    isotherms = isotherms_of(bench, fugacities)
    with ThreadPoolExecutor(cores()) as pool:
        first = list(joined(pool.map(_chains_of, isotherms)))
    aliases = [chain.proposal.alias for chain in first]
    with kernels_for_device():
        lanes = gcmc.Lanes(isotherms)
        advance(lanes, first, effort.equilibration)
        lanes.fetch()
    # as many copies as are wanted, each framework's with arrays of their own, as in a study
    del lanes
    on_cpu = [_copy(c, c.host, alias, 1) for c, alias in zip(first, aliases, strict=True)]
    found = bench.begin(
        "rate_gcmc",
        {
            "molecules": float(np.mean([c.n_molecules for c in first])),
            "work": _gcmc_work(first),
            "cpu": _cpu_gcmc(on_cpu, effort),
            "rows": [],
        },
    )
    for n in effort.chains:
        if bench.left_s < 20.0:
            break
        isotherms, chains = _copies(first, aliases, n)
        if not SIMULATED:
            # what the sizes before took is given back late
            cuda.current_context().deallocations.clear()
        if _bytes(isotherms, chains) > device.FILL * device.free_bytes():
            found["rows"].append({"chains": n, "left_out": "more than the card holds"})
            continue
        with kernels_for_device():
            lanes = gcmc.Lanes(isotherms)
            for threads in effort.block_sizes:
                if bench.left_s < 10.0:
                    break
                rate = _timed(
                    lambda steps, lanes=lanes, chains=chains, threads=threads: advance(
                        lanes, chains, steps, threads or None
                    ),
                    grid.SAMPLE_STEPS,
                    gcmc.LAUNCH_STEPS,
                    effort,
                )
                found["rows"].append({"chains": n, "threads": threads, **rate})
                bench.save()
        del lanes
    return found


def joined(parts):
    """All of the items of all of the parts."""
    return [item for part in parts for item in part]


def _chains_of(isotherm: grid.IsothermRun) -> list[grid.Chain]:
    chain = isotherm.runs[0].chain
    others = []
    for stream, fugacity_bar in enumerate(isotherm.fugacities_bar[1:], 1):
        others.append(chain.branched(stream))
        others[-1].set_fugacity(fugacity_bar)
    return [chain, *others]


def _copy(chain: grid.Chain, host: grid.Host, alias: np.ndarray, stream: int) -> grid.Chain:
    other = chain.branched(stream)
    other.host, other.proposal = host, chain.proposal._replace(alias=alias)
    return other


def _copies(first: list, aliases: list, n: int) -> tuple[list, list]:
    """``n`` chains like the first ones, and what :class:`Lanes` asks of their isotherms."""
    chains, isotherms = [], []
    for turn in range(-(-n // len(first))):
        hosts = {}
        for chain, alias in zip(first, aliases, strict=True):
            if len(chains) == n:
                break
            made = hosts.setdefault(id(chain.host), copy.copy(chain.host))
            chains.append(_copy(chain, made, alias, 2 + turn))
        mine = chains[turn * len(first) :]
        for host in hosts.values():
            of_host = [chain for chain in mine if chain.host is host]
            runs = [SimpleNamespace(chain=of_host[0])]
            isotherms.append(SimpleNamespace(runs=runs, fugacities_bar=of_host))
    return isotherms, chains


def _bytes(isotherms, chains) -> float:
    hosts = sum(gcmc.device_bytes(isotherm) for isotherm in isotherms)
    return hosts + 48.0 * sum(chain.capacity * len(chain.count) for chain in chains)


def _cpu_gcmc(chains: list, effort: Effort) -> dict:
    some = chains[:: max(1, len(chains) // 96)]
    some[0].advance(grid.SAMPLE_STEPS)
    start = time.process_time()
    for chain in some:
        chain.advance(effort.cpu_steps)
    seconds = time.process_time() - start
    return {"per_s": len(some) * effort.cpu_steps / seconds, "chains": len(some)}


def _gcmc_work(chains: list) -> dict:
    """Bytes and floating-point operations of a step, mean over the chains, counted in the source.

    Of four moves one is a translation (an energy of the host, two sums over molecules), one and a
    half are insertions (one of each, less where the host refuses) and deletions (a sum).
    """
    near = [len(c.cells.neighbours) / len(c.count) * c.n_molecules / len(c.count) for c in chains]
    pairs = 1.25 * float(np.mean(near))
    energies = 0.25 + 0.375
    return {
        "pairs_per_step": pairs,
        # 16 rows of the grid, each at least a sector of 32 bytes, a factor, an entry of the alias
        # table; three coordinates of a molecule
        "bytes_per_step": energies * (16 + 2) * 32.0 + pairs * 24.0 + 160.0,
        # 64 coefficients with their weights and sums; a pair with its division as ten
        "operations_per_step": energies * 260.0 + pairs * 45.0 + 60.0,
    }


def rate_md(bench: Bench) -> dict:
    """Molecule-steps a second of engine grid."""
    effort, open_ones = bench.effort, [made for _, made in with_channel(bench)]
    # 16 rows of four doubles; products and sums of the gradient, the step and the thermostat
    work_of_step = {"bytes_per_step": 16 * 32.0, "operations_per_step": 700.0}
    found = bench.begin(
        "rate_md", {"rows": [], "cpu": _cpu_md(open_ones, effort), "work": work_of_step}
    )
    for n in effort.molecules:
        if bench.left_s < 15.0:
            break
        each = max(1, n // len(open_ones) // of_record.CHAIN_SIZE) * of_record.CHAIN_SIZE
        states = [of_record.molecules(made, each, SEED) for made in open_ones]
        launch = _launcher(open_ones, states)

        def work(steps, launch=launch, each=each):
            start = time.monotonic()
            launch(steps)
            return steps * each * len(open_ones), time.monotonic() - start

        rate = _timed(work, 10 if SIMULATED else 100, md.LAUNCH_STEPS, effort)
        found["rows"].append({"molecules": each * len(open_ones), **rate})
        bench.save()
    return found


def _launcher(made: list, states: list) -> Callable[[int], list]:
    """A function that moves all states on by so many steps in one launch."""
    trajectories = [
        grid_engine.Trajectory(
            m.field,
            None,
            of_record.DYNAMICS,
            chain_size=of_record.CHAIN_SIZE,
            equilibration_steps=0,
            steps_per_frame=1,
        )
        for m in made
    ]
    with kernels_for_device():
        launches = md.Device(trajectories)

    def launch(steps):
        batches = [grid_engine.Batch(state, 0, []) for state in states]
        pieces = [
            md.Piece(i, SimpleNamespace(trajectory=t), batch, 1, steps)
            for i, (t, batch) in enumerate(zip(trajectories, batches, strict=True))
        ]
        with kernels_for_device():
            launches.advance(pieces)
        return [batch.frames[0][0] for batch in batches]

    return launch


def moved_molecules(made: list, states: list, steps: int) -> list:
    """Positions (Å) before and after so many steps, in launches of the engine's length."""
    begin = [grid_engine.cartesian(m.field, s) for m, s in zip(made, states, strict=True)]
    launch, end = _launcher(made, states), None
    while steps > 0:
        now = min(steps, md.LAUNCH_STEPS)
        end, steps = launch(now), steps - now
    return list(zip(begin, end, strict=True))


def _cpu_md(open_ones: list, effort: Effort) -> dict:
    some = open_ones[:: max(1, len(open_ones) // 8)]
    steps = max(1, effort.cpu_steps // 10)
    states = [of_record.molecules(made, 60, SEED) for made in some]
    seconds = 0.0
    for _ in range(2):  # the first compiles
        start = time.process_time()
        for made, state in zip(some, states, strict=True):
            grid_engine.advance_state(made.field, state, of_record.DYNAMICS, 30, 1, steps)
        seconds = time.process_time() - start
    return {"per_s": len(some) * 60 * steps / seconds, "frameworks": len(some)}


def rate_harmonic(bench: Bench) -> dict:
    """Molecule-steps a second of engine harmonic, in paths of 12 ps."""
    effort, open_ones = bench.effort, [made for _, made in with_channel(bench)]
    landscapes = [made.landscape for made in open_ones]
    level = 0 if SIMULATED else round(math.log2(harmonic.FIRST_PS / harmonic.LEVEL_PS))
    with kernels_for_device():
        launcher = harmonic_cuda.Device(landscapes)
    # the gradient as in engine grid; every 20 steps an energy and the slopes of the coordinates
    work_of_step = {
        "bytes_per_step": 16 * 32.0 * 1.05 + 24 * 32.0 / 20,
        "operations_per_step": 480.0,
    }
    found = bench.begin(
        "rate_harmonic",
        {"rows": [], "cpu": _cpu_harmonic(landscapes, level), "work": work_of_step},
    )
    own = harmonic_cuda.IN_BLOCK
    for n in effort.paths:
        flights = [
            harmonic.Paths(landscape, SEED).missing(max(2, n // len(landscapes)), level)
            for landscape in landscapes
        ]
        runs = [SimpleNamespace(host=i, flight=flight) for i, flight in enumerate(flights)]
        steps = sum(_path_steps(flight) for flight in flights)
        for in_block in effort.path_blocks:
            if bench.left_s < 10.0:
                break
            harmonic_cuda.IN_BLOCK = in_block

            def work(_, runs=runs, steps=steps):
                start = time.monotonic()
                with kernels_for_device():
                    launcher.fly(runs)
                return steps, time.monotonic() - start

            rate = _timed(work, 1, 1, effort)
            n_paths = sum(len(flight.place) for flight in flights)
            found["rows"].append({"paths": n_paths, "threads": in_block, **rate})
            bench.save()
    harmonic_cuda.IN_BLOCK = own
    return found


def _path_steps(flight: harmonic.Flight) -> int:
    schedule = flight.schedule
    return len(flight.place) * schedule.steps * schedule.points * schedule.blocks


def _cpu_harmonic(landscapes: list, level: int) -> dict:
    some = landscapes[:: max(1, len(landscapes) // 8)]
    paths = [harmonic.Paths(landscape, SEED) for landscape in some]
    flights = [p.missing(4, level) for p in paths]
    for p in paths[:1]:
        p.fly(p.missing(1, 0))
    start = time.process_time()
    for p, flight in zip(paths, flights, strict=True):
        p.fly(flight)
    seconds = time.process_time() - start
    return {"per_s": sum(map(_path_steps, flights)) / seconds, "frameworks": len(some)}


def rate_trainer(bench: Bench) -> dict:
    """Steps a second of all networks together, with dropout; on the CPU with one thread."""
    import torch

    effort, found = bench.effort, bench.begin("rate_trainer", {"rows": []})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    data = training(min(10, effort.networks[0]))
    train(*data, 2, "cpu", 0.5)
    steps = min(30, effort.training_steps)
    _, seconds = train(*data, steps, "cpu", 0.5)
    found["cpu"] = {"per_s": len(data[2]) * steps / seconds, "networks": len(data[2])}
    torch.set_num_threads(threads)
    if not torch_sees_gpu():
        found["left_out"] = "torch sees no GPU"
        return found
    for n in effort.networks:
        data = training(n)
        train(*data, 5, "cuda", 0.5)
        _, few_s = train(*data, effort.training_steps, "cuda", 0.5)
        _, many_s = train(*data, 3 * effort.training_steps, "cuda", 0.5)
        # what comes before and after the steps takes time once
        per_s = 2 * n * effort.training_steps / max(many_s - few_s, 1e-9)
        found["rows"].append({"networks": n, "per_s": per_s, "seconds": many_s})
        bench.save()
    return found


def torch_sees_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def training(n_networks: int):
    """Features, labels, networks and rows, as in direct learning from 80 structures."""
    from poreflux.learning.learners import mlp

    rng = np.random.default_rng(SEED)
    x = rng.uniform(size=(200, 55))
    y = x[:, :5].sum(axis=1) + 0.1 * rng.standard_normal(200)
    rows = np.stack([rng.permutation(200)[:100] for _ in range(n_networks)])
    networks = mlp.initialise(
        list(range(n_networks)),
        input_shift=np.tile(x.mean(axis=0), (n_networks, 1)),
        input_scale=np.tile(x.std(axis=0), (n_networks, 1)),
        label_shift=np.full(n_networks, y.mean()),
        label_scale=np.full(n_networks, y.std()),
    )
    return x, y, networks, rows


def train(x, y, networks, rows, steps: int, where: str, dropout: float = 0.0):
    """Trained networks, and the seconds that it took."""
    from poreflux.learning.learners import mlp

    phase = mlp.Phase(
        learning_rate=1e-3,
        max_steps=steps,
        batch_size=None,
        dropout=dropout,
        validate_every=10,
        patience=None,
        label_scaling=None,
    )
    start = time.monotonic()
    trained = mlp.train_batch(
        networks,
        x,
        y,
        rows[:, :80],
        rows[:, 80:],
        phase=phase,
        seeds=range(len(networks)),
        device=where,
    )
    return trained, time.monotonic() - start
