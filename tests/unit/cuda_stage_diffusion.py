"""Stage diffusion over two structures and two others; prints the table and the store's keys.

python cuda_stage_diffusion.py CIFS STORE DEVICE ENGINE
"""

import json
import sys
from pathlib import Path

import numba
import pandas as pd
from numba.core.dispatcher import Dispatcher

from poreflux import diffusion
from poreflux.diffusion import cuda, grid_engine, harmonic, harmonic_cuda, paths
from poreflux.diffusion.settings import DiffusionSettings
from poreflux.run import stages
from poreflux.run.artifacts import Limits
from poreflux.store import Store
from poreflux.structures.cif import read_cif
from poreflux.structures.crystal import make_structure

# The engine harmonic, on paths of some femtoseconds.
harmonic.LEVEL_PS, harmonic.FIRST_PS, harmonic.POINT_FS = 0.016, 0.064, 8.0
harmonic.FIRST_STARTS, harmonic.MORE_STARTS = 8, 4


def main() -> None:
    """Run the stage and print."""
    if numba.config.ENABLE_CUDASIM:
        # the simulator takes Python alone; what makes grids and starts stays compiled
        diffusion.warm_up()
        for module in (grid_engine, paths, cuda, harmonic_cuda):
            for name, kernel in list(vars(module).items()):
                # what a kernel of the device calls becomes a part of it
                if (
                    isinstance(kernel, Dispatcher)
                    and kernel.targetoptions.get("inline") == "always"
                ):
                    setattr(module, name, kernel.py_func)
    cifs, store, (device, engine) = Path(sys.argv[1]), Store(sys.argv[2]), sys.argv[3:]
    cube = (13.0,) * 3, (90.0,) * 3
    structures = {
        "small": read_cif(cifs / "JIVFUQ_clean.cif"),
        "odd": make_structure(*cube, ["C", "Og"], [[0] * 3, [0.5] * 3]),
        "wide": make_structure(*cube, ["C"], [[0.2, 0.3, 0.4]]),
        "tight": make_structure((2.87,) * 3, (90.0,) * 3, ["Fe", "Fe"], [[0] * 3, [0.5] * 3]),
    }
    table = pd.DataFrame(
        {
            "name": name,
            "content_hash": s.content_hash,
            "status": "ok",
            "reason": "",
            "lengths_A": list(s.lengths_A),
            "angles_deg": list(s.angles_deg),
            "species": list(s.species),
            "frac": s.frac.reshape(-1).tolist(),
            "listed": list(map(int, s.listed)),
        }
        for name, s in structures.items()
    )
    params = {
        "engine": engine, "device": device, "seed": 4, "spacing_A": 0.5, "timestep_fs": 4.0,
        "n_molecules": 4, "n_groups": 2, "equilibration_ps": 0.04, "production_ps": 0.32,
        "sample_ps": 0.016, "max_ps": 0.7, "rare_events": "bound", "flat_ps": 4.0,
        "target_error": 1.0 if engine == "harmonic" else 0.1,
    }  # fmt: skip
    found = stages.run_stage(
        "diffusion", table, DiffusionSettings(**params), store=store, limits=Limits(workers=2)
    )
    rows = json.loads(found.to_json(orient="records", double_precision=15))
    json.dump({"rows": rows, "entries": sorted(p.name for p in store.entries())}, sys.stdout)


if __name__ == "__main__":
    main()
