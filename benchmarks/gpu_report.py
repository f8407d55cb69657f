"""The page of the record on a GPU."""

from __future__ import annotations

# By the compiler, before the kernels were tuned by its report: registers, warps of a
# multiprocessor, instructions, those of double precision.
BEFORE = {
    "advance_lanes": (212, 9, 6552, 1499),
    "advance_chains": (253, 8, 1512, 497),
    "fly_blocks": (254, 8, 2744, 1068),
}
WHAT = {
    "advance_lanes": "Monte Carlo, a thread per chain",
    "advance_chains": "engine grid, a thread per molecule",
    "fly_blocks": "engine harmonic, a thread per path",
}
# Of an H100 with 80 GB of HBM3, by its data sheet: bytes a second, operations of double precision.
SHEET_BYTES, SHEET_OPERATIONS = 3.35e12, 34e12
HOW = [
    "```console",
    "$ python benchmarks/gpu.py prepare --output record.npz",
    "$ python benchmarks/gpu.py measure record.npz --output gpu.json",
    "$ python benchmarks/gpu.py report gpu.json --output benchmarks/gpu.md",
    "```",
    "",
    "The first runs where structures can be read, the second where the device is (8 minutes, or",
    "`--minutes 2`), see [Use a GPU](../docs/howto/gpu.md#check-and-measure-a-device).",
    "",
]


def page(found: dict | None, compiler: dict | None) -> str:
    """Markdown of what ``gpu.py measure`` and ``gpu_compiler.py`` found; either may lack."""
    lines = ["# The CUDA engines on a device", ""]
    measured = found is not None and not found["steps"]["host"].get("simulated")
    if measured:
        card = found["steps"].get("card", {})
        lines += [f"Card: **{card.get('name', 'unknown')}**.", ""]
    else:
        lines += [
            "**No device has run this yet.** What is known without one: the kernels give the bits",
            "of the CPU in numba's simulator, where the steps of this record run too (a test), and",
            "what the compiler says of them.",
            "",
        ]
    lines += HOW
    if found is not None:
        lines += _checks(found["steps"]) + _rates(found["steps"])
    if not measured:
        lines += _by_arithmetic()
    if compiler:
        lines += _compiler(compiler)
    return "\n".join(lines).rstrip() + "\n"


def _checks(steps: dict) -> list[str]:
    lines = ["## Right?", "", "| check | right | figures |", "| --- | --- | --- |"]
    for name, step in steps.items():
        if not name.startswith("check_"):
            continue
        if "ok" in step:
            verdict = "yes" if step["ok"] else "**no**"
        else:
            verdict = "not run"
        shown = step.get("error") or step.get("left_out")
        shown = shown or ", ".join(
            f"{key.replace('_', ' ')} {_number(value)}"
            for key, value in step.items()
            if key not in ("ok", "step_s", "losses")
        )
        lines.append(f"| {name.removeprefix('check_').replace('_', ' ')} | {verdict} | {shown} |")
    return [*lines, ""]


def _rates(steps: dict) -> list[str]:
    ceilings = steps.get("ceilings", {})
    lines = [
        "## How fast?",
        "",
        "Median of launches, their transfers included; one core of the same machine beside them.",
        "Cores: the rate over that of one core. Of the ceiling: the rate over that at which the",
        "bytes of a step (grid rows in sectors of 32 bytes, none found in a cache) take the card's",
        "whole bandwidth, and over that at which its operations take all double-precision",
        "arithmetic, both measured by a large copy and a large product.",
        "",
        "| engine | in a launch | threads of a block | 1e6 steps/s | cores | of bandwidth "
        "| of arithmetic |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in ("gcmc", "md", "harmonic", "trainer"):
        step = steps.get(f"rate_{name}", {})
        if "error" in step:
            lines.append(f"| {name} | {step['error']} | | | | | |")
        core = step.get("cpu", {}).get("per_s")
        for row in step.get("rows", []):
            if "per_s" not in row:
                lines.append(f"| {name} | {row['chains']} | {row['left_out']} | | | | |")
                continue
            kind = next(x for x in ("chains", "molecules", "paths", "networks") if x in row)
            work = step.get("work", {})
            shares = [
                _share(row["per_s"], work.get(per_step), ceilings.get(ceiling))
                for per_step, ceiling in (
                    ("bytes_per_step", "copy_bytes_per_s"),
                    ("operations_per_step", "product_float64_per_s"),
                )
            ]
            threads = row.get("threads", "")
            lines.append(
                f"| {name} | {row[kind]:,} {kind} | {threads or 'own' if threads != '' else ''} "
                f"| {row['per_s'] / 1e6:.4g} | {row['per_s'] / core:.3g} | {shares[0]} "
                f"| {shares[1]} |"
            )
        if core:
            lines.append(f"| {name} | one core | | {core / 1e6:.4g} | 1 | | |")
    lines.append("")
    lines += _in_a_study(steps)
    if "grids_per_s" in steps.get("grids", {}):
        step = steps["grids"]
        lines += [
            f"Energy grids: {step['device']}, {step['grids_per_s']:.3g} a second "
            f"({step['points_per_s']:.3g} points).",
            "",
        ]
    return lines


def _share(rate: float, per_step: float | None, ceiling: float | None) -> str:
    return f"{rate * per_step / ceiling:.2g}" if per_step and ceiling else ""


def _in_a_study(steps: dict) -> list[str]:
    lines = []
    prepared = steps.get("preparation", {}).get("cpu_s_per_framework")
    for name, what in (("harmonic", "diffusivities to 5 %"), ("gcmc", "isotherms of the check")):
        step = steps.get(f"check_{name}", {})
        if step.get("seconds") and step.get("frameworks"):
            each = step["seconds"] / step["frameworks"]
            lines.append(f"- A thousand {what}: {1000 * each:.0f} s, after preparation.")
    if prepared:
        parts = ", ".join(f"{what} {cpu_s:.2f} s" for what, cpu_s in prepared.items())
        lines.append(f"- Preparation on the CPU, a structure and core: {parts}.")
    return [*lines, ""] if lines else []


def _by_arithmetic() -> list[str]:
    """What a card could do at most, by its data sheet."""
    rows = [
        (
            "Monte Carlo, 20 molecules in reach",
            0.625 * 576 + 25 * 24 + 160,
            0.625 * 260 + 25 * 45 + 60,
        ),
        ("Monte Carlo, 200 molecules", 0.625 * 576 + 250 * 24 + 160, 0.625 * 260 + 250 * 45 + 60),
        ("engine grid", 512.0, 700.0),
        ("engine harmonic", 576.0, 480.0),
    ]
    lines = [
        "## What a card could do at most",
        "",
        f"An H100 moves {SHEET_BYTES / 1e12:.2f} TB/s and computes {SHEET_OPERATIONS / 1e12:.0f} "
        "TFLOP/s of double precision by",
        "its data sheet. Bytes and operations are counted in the source, each byte once from",
        "memory; caches make the first bound too low, divergence and latency make both too high.",
        "",
        "| kernel | bytes a step | operations a step | 1e9 steps/s by bytes | by arithmetic |",
        "| --- | --- | --- | --- | --- |",
    ]
    for what, size, operations in rows:
        lines.append(
            f"| {what} | {size:.0f} | {operations:.0f} | {SHEET_BYTES / size / 1e9:.2g} "
            f"| {SHEET_OPERATIONS / operations / 1e9:.2g} |"
        )
    return [*lines, ""]


def _compiler(compiler: dict) -> list[str]:
    lines = [
        "## What the compiler says",
        "",
        "`ptxas -v` for compute capability 9.0, by `benchmarks/gpu_compiler.py`. Warps: those",
        "that a multiprocessor holds. Instructions are of the machine code, not what runs. In",
        "brackets: before the kernels were tuned by this report.",
        "",
        "- Engines grid and harmonic ask for the fewest registers without spilled values.",
        "- Monte Carlo: a warp in which all three moves occur took four sums over molecules and",
        "  two energies of the host in turn, now two sums and one energy; it takes registers for",
        "  64 coefficients in flight. An energy was 624 instructions that run and is half as",
        "  many. A pair of molecules is 61, of which 32 are of double precision, 8 of them a",
        "  division.",
        "- What did not help: to round to the nearest image by two sums in place of a rounding",
        "  (more work for the units of double precision, which are the ones that are full), and",
        "  fewer registers for Monte Carlo (208 spill).",
        "",
        "| kernel | | registers | warps | stack, spills (bytes) | shared (bytes) | instructions "
        "| double precision | loads | branches |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, kernel in compiler.items():
        code, before = kernel.get("instructions", {}), BEFORE[name]
        spilled = kernel["stack_bytes"] + kernel["spill_stores_bytes"] + kernel["spill_loads_bytes"]
        lines.append(
            f"| `{name}` | {WHAT[name]} | {kernel['registers']} ({before[0]}) "
            f"| {kernel['warps']} ({before[1]}) | {spilled} | {kernel['shared_bytes']} "
            f"| {code.get('all', '')} ({before[2]}) | {code.get('float64', '')} ({before[3]}) "
            f"| {code.get('loads', '')} | {code.get('branches', '')} |"
        )
    return [*lines, ""]


def _number(value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
