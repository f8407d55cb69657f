"""What Snakemake costs on a study of many structures: the work is replaced, all else is real.

python benchmarks/scale.py --folder /tmp/bench --output benchmarks/scale.md

1. A dry run of the whole study (time, peak memory).
2. A run in which every script only makes its output files, for some time: what scheduling costs.
3. A run of a sixteenth of the study with the real scripts, hashes, store and tables, in which
   only the function of each stage is replaced: what a structure and a job cost besides the work.

Works on a copy of the repository in a new folder, and removes it.
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
TARGETS = ("geometry", "energy", "percolation", "uptake", "diffusion")
# Share of source structures, as in the paper: 12,605 of 23,845.
SOURCE_SHARE = 12605 / 23845
CIF = """\
data_{name}
_cell_length_a {a:.5f}
_cell_length_b 10.0
_cell_length_c 10.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
"""
ATOMS = "".join(f"C{k} C {k / 30:.4f} {k % 7 / 7:.4f} {k % 5 / 5:.4f}\n" for k in range(30))
CONFIG = """\
study: scale
shards: {shards}
structures:
  source: {{cifs: cifs/source, stages: [geometry, energy, percolation, uptake]}}
  target: {{cifs: cifs/target, stages: [geometry, energy, percolation, diffusion]}}
uptake: {{crosscheck: 0}}
diffusion: {{crosscheck: 0}}
"""
# In the place of every script: nothing but the files that the rule promises.
STAND_IN_SCRIPT = """\
import os
for path in snakemake.output:
    if path.endswith("figures"):
        os.makedirs(path, exist_ok=True)
    else:
        open(path, "w").close()
open(snakemake.log[0], "w").close()
"""
# In the place of the function of every stage.
STAND_IN_STAGE = """

def resolve(name):
    return _stand_in


@dataclass(frozen=True)
class _Nothing:
    value: float = 0.0


def _stand_in(structure, **params):
    assert structure.n_atoms
    return [_Nothing()] * len(params.get("pressures_bar", [0]))
"""


@dataclass(frozen=True)
class Measured:
    """A run of Snakemake: wall s, CPU s and peak MB of it alone, jobs planned, jobs done."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    jobs: int
    done: int


class Study:
    """A study of stand-in structures in a folder."""

    def __init__(self, folder: Path, structures: int, shards: int, *, real_scripts: bool):
        self.folder, self.shards = folder, shards
        ignored = shutil.ignore_patterns(".*", "results", "logs", "tests", "__pycache__")
        shutil.copytree(ROOT, folder / "checkout", ignore=ignored)
        if real_scripts:
            with (folder / "checkout" / "workflow" / "poreflux" / "stages.py").open("a") as file:
                file.write(STAND_IN_STAGE)
        else:
            for path in (folder / "checkout" / "scripts").glob("*.py"):
                path.write_text(STAND_IN_SCRIPT)
        self.counts = {"source": round(structures * SOURCE_SHARE)}
        self.counts["target"] = structures - self.counts["source"]
        for name, count in self.counts.items():
            (folder / "cifs" / name).mkdir(parents=True)
            for k in range(count):
                title = f"{name}{k:06d}"
                a = 10.0 + (k + (name == "target") * structures) * 1e-4
                path = folder / "cifs" / name / f"{title}.cif"
                path.write_text(CIF.format(name=title, a=a) + ATOMS)
        (folder / "scale.yaml").write_text(CONFIG.format(shards=shards))

    def snakemake(self, *arguments: str, budget_s: float = float("inf")) -> Measured:
        """Run it on one core, at most so long."""
        log = self.folder / "log"
        command = [
            str(SNAKEMAKE), *arguments, "--cores", "1", "--snakefile", "checkout/Snakefile",
            "--configfile", "scale.yaml", "--nolock",
        ]  # fmt: skip
        environment = os.environ | {
            "POREFLUX_STORE": str(self.folder / "store"),
            "PYTHONPATH": str(self.folder / "checkout" / "workflow"),
        }
        start = time.perf_counter()
        with log.open("w") as sink:
            run = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=sink, stderr=sink
            )
        cpu_s = peak_mb = 0.0
        while run.poll() is None:
            cpu_s, peak_mb = used_by(run.pid) or (cpu_s, peak_mb)
            if time.perf_counter() - start > budget_s:
                run.kill()
                run.wait()
            time.sleep(0.05)
        wall_s = time.perf_counter() - start
        text = log.read_text()
        if run.returncode not in (0, -9):
            sys.exit(text[-3000:])
        return Measured(
            wall_s,
            cpu_s,
            peak_mb,
            number(r"^total +(\d+)", text),
            number(r"^(\d+) of \d+ steps", text),
        )


def number(pattern: str, text: str) -> int:
    """The last match, or 0."""
    return int((re.findall(pattern, text, re.MULTILINE) or [0])[-1])


def used_by(pid: int) -> tuple[float, float] | None:
    """CPU seconds and peak MB of a process, without its children; ``None`` if it is gone."""
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return None
    if peak is None:  # a zombie
        return None
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), int(peak[1]) / 1024


def row(what: str, study: Study, m: Measured) -> str:
    """A line of the table."""
    line = (
        f"| {what} | {sum(study.counts.values()):,} | {study.shards} | {m.jobs:,} | "
        f"{m.done:,} | {m.wall_s:.0f} | {m.cpu_s:.0f} | {m.peak_mb:.0f} |"
    )
    print(line, flush=True)
    return line


def main() -> None:
    """Run the three parts and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, nargs="+", default=[24_000, 100_000])
    parser.add_argument("--shards", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--seconds", type=float, default=600, help="at most, for part 2")
    parser.add_argument("--part", type=int, default=16, help="one so-many-th with real scripts")
    parser.add_argument("--folder", default=None, help="where to work")
    parser.add_argument("--output", type=Path, default=Path("scale.md"))
    options = parser.parse_args()
    lines = [
        "# Snakemake's own cost", "",
        "One core. CPU and memory are those of Snakemake's own process.", "",
        "| run | structures | shards a set | jobs | done | wall s | CPU s | peak MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="scale-", dir=options.folder) as folder:
        for structures, shards in zip(options.structures, options.shards, strict=True):
            study = Study(Path(folder) / str(structures), structures, shards, real_scripts=False)
            lines.append(row("dry run, nothing done", study, study.snakemake("-n")))
            if structures == options.structures[0]:
                run = study.snakemake(budget_s=options.seconds)
                lines.append(row("run, scripts that do nothing", study, run))
                lines.append(row("dry run, that much done", study, study.snakemake("-n")))
            shutil.rmtree(study.folder)
        structures = options.structures[0] // options.part
        shards = options.shards[0] // options.part
        study = Study(Path(folder) / "part", structures, shards, real_scripts=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        real = study.snakemake(*TARGETS)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        lines.append(row("run, real scripts and store", study, real))
        again = study.snakemake(*TARGETS, "--forceall")
        lines.append(row("run again, all found in the store", study, again))
        done = len(list((Path(folder) / "part" / "store" / "objects").glob("*/*/*")))
        lines += [
            "",
            f"The run with real scripts took {cpu_s:.0f} s of CPU in all its processes, for "
            f"{real.jobs} jobs, {structures:,} CIFs read and {done:,} artifacts stored: "
            f"{cpu_s / (done + structures):.3f} s each.",
        ]
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
