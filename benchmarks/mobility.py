"""The mobility on the energy landscape: how near its grid is to finer ones, and to diffusivities.

    snakemake --cores 2 results/published50/target/percolation.parquet \\
        --configfile config/published50.yaml
    python benchmarks/mobility.py --table results/published50/target/percolation.parquet

Random CoRE MOFs at the spacing in use, and at 0.7 and 0.5 of it; then all mobilities of the table
beside the published diffusivities of Lim & Kim 2022 (POREFLUX_REFERENCE_DATA).
"""

import argparse
import os
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd

from poreflux import percolation
from poreflux.data.features import LEAST_MOBILITY
from poreflux.fields import network
from poreflux.structures import cif, packages

FILE = "lim-kim-2022/core2019_self_diffusivity.csv.gz"
SCALES = (1.0, 0.7, 0.5)


def decades(structure, scale: float) -> tuple[float, float]:
    """log10 of the mean mobility, cut as the feature is, and the seconds of CPU it took."""
    narrow = {
        "SPACING_A": scale * network.SPACING_A,
        "SPACING_LIMITS_A": tuple(scale * x for x in network.SPACING_LIMITS_A),
        "OPEN_POINTS": network.OPEN_POINTS / scale**3,
    }
    before = time.process_time()
    with mock.patch.multiple(network, **narrow):
        found = percolation.compute(structure)
    seconds = time.process_time() - before
    return float(np.log10(max(found.mobility, LEAST_MOBILITY))), seconds


def main() -> None:
    """Compute, compare and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, required=True, help="the stage's table")
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/mobility.md"))
    options = parser.parse_args()
    reference = Path(os.environ.get("POREFLUX_REFERENCE_DATA", "../shared/data"))
    labels = np.log10(pd.read_csv(reference / FILE, index_col=0).iloc[:, 0])
    percolation.warm_up()

    names = list(labels.sample(options.number, random_state=1).index)
    found = {
        name: [decades(cif.parse_cif(data), scale) for scale in SCALES]
        for name, data in packages.core_mof_cifs("2019-ASR", names)
    }
    values = np.array(list(found.values()))
    finest = values[:, -1, 0]
    lines = [
        "# Mobility on the energy landscape",
        "",
        f"{len(values)} CoRE MOFs at random: log10 of the mobility against a grid of half the "
        "spacing; CPU of the whole stage.",
        "",
        "| spacing | median error | 95 % | largest | mean | CPU, s (median; largest) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for k, scale in enumerate(SCALES):
        error = np.abs(values[:, k, 0] - finest)
        mean = (values[:, k, 0] - finest).mean()
        seconds = values[:, k, 1]
        lines.append(
            f"| {scale:g} of that in use | {np.median(error):.3f} | {np.quantile(error, 0.95):.3f} "
            f"| {error.max():.3f} | {mean:+.3f} | {np.median(seconds):.2f}; {seconds.max():.1f} |"
        )

    table = pd.read_parquet(options.table).set_index("name")
    table = table[table["status"] == "ok"]
    both = labels.index.intersection(table.index)
    label = labels[both].to_numpy()
    mobility = np.log10(np.maximum(table.loc[both, "mobility"].to_numpy(), LEAST_MOBILITY))
    barrier = -table.loc[both, "barrier_1_K"].clip(-6000, 12_000).to_numpy()
    lines += [
        "",
        f"Published log10 of D, {len(both)} MOFs, all and above 1e-10 m2/s: squared correlation "
        "with the mobility and with the barrier, and the scatter (standard deviation) of the ratio "
        "of D and mobility.",
        "",
        "| MOFs | r² mobility | r² barrier | scatter of D / mobility, decades |",
        "| --- | --- | --- | --- |",
    ]
    for what, some in (("all", label > -np.inf), ("above 1e-10", label > -2.0)):
        r2 = [np.corrcoef(x[some], label[some])[0, 1] ** 2 for x in (mobility, barrier)]
        scatter = (label - mobility)[some].std()
        lines.append(f"| {what}: {some.sum()} | {r2[0]:.3f} | {r2[1]:.3f} | {scatter:.2f} |")
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(options.output.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
