"""Stage uptake over two structures and one that fails; prints the table and the store's keys.

python cuda_stage.py CIFS STORE DEVICE
"""

import importlib
import json
import sys
from pathlib import Path

import numba
import pandas as pd


def main() -> None:
    """Run the stage and print."""
    if numba.config.ENABLE_CUDASIM:
        # the kernels as Python, what makes the grids compiled
        import poreflux.uptake.kernels  # noqa: F401
        from poreflux.fields import grid, rows

        numba.config.DISABLE_JIT = 0
        for module in (rows, grid):
            importlib.reload(module)
    from poreflux.run import stages
    from poreflux.run.artifacts import Limits
    from poreflux.store import Store
    from poreflux.structures.cif import read_cif
    from poreflux.structures.crystal import make_structure
    from poreflux.uptake.settings import UptakeSettings

    cifs, store, device = Path(sys.argv[1]), Store(sys.argv[2]), sys.argv[3]
    structures = {
        "small": read_cif(cifs / "JIVFUQ_clean.cif"),
        "odd": make_structure((12.0,) * 3, (90.0,) * 3, ["C", "Og"], [[0] * 3, [0.5] * 3]),
        "wide": make_structure((13.0,) * 3, (90.0,) * 3, ["C"], [[0.2, 0.3, 0.4]]),
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
        "device": device, "pressures_bar": [2.0, 0.5], "spacing_A": 0.5, "seed": 4,
        "equilibration_steps": 1000, "production_steps": 1000, "max_steps": 2000,
    }  # fmt: skip
    found = stages.run_stage(
        "uptake", table, UptakeSettings(**params), store=store, limits=Limits(workers=2)
    )
    rows = json.loads(found.to_json(orient="records", double_precision=15))
    json.dump({"rows": rows, "entries": sorted(p.name for p in store.entries())}, sys.stdout)


if __name__ == "__main__":
    main()
