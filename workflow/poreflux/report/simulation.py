"""The sections of the report on structures and simulations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from poreflux.report import figures, page
from poreflux.report.page import Html, Section
from poreflux.report.study import Study
from poreflux.report.summary import (
    AGREEMENT_SE,
    STAGES,
    agreement,
    failures,
    finite,
    histogram_columns,
    isotherm_quartiles,
    mean_histogram,
    outcome_counts,
    quartiles,
    usable,
    warning_counts,
)

# Lennard-Jones diameter of united-atom methane, Å: TraPPE, Martin and Siepmann,
# J. Phys. Chem. B 102, 2569 (1998).
METHANE_DIAMETER_A = 3.73
# Share of the Henry coefficient in closed pockets above which a structure is counted.
POCKET_SHARE = 0.01
# Below this the displacement within 2 ns is mostly vibration, m2/s.
SLOW_M2_S = 1e-10
GEOMETRY_PANELS = (
    ("lcd_A", "Largest cavity diameter (Å)"),
    ("pld_A", "Pore-limiting diameter (Å)"),
    ("asa_m2_cm3", "Accessible surface area (m² cm⁻³)"),
    ("void_fraction", "Void fraction"),
)
PERCOLATION_PANELS = (
    ("barrier_kT", "Barrier to percolation (kT)"),
    ("log_mobility", "log₁₀ relative mobility"),
    ("log_henry", "log₁₀ Henry coefficient (mol kg⁻¹ bar⁻¹)"),
    ("heat_of_adsorption_kJ_mol", "Heat of adsorption (kJ mol⁻¹)"),
)
# Beyond this many kT nothing travels within any simulation.
BARRIER_DRAWN_KT = 30
# Names or rows that a table lists before it says "and so on".
MAX_NAMES = 4
MAX_ROWS = 40
# The pressure that the field compares stored methane at, bar.
STORAGE_PRESSURE_BAR = 65.0


def structures(study: Study) -> Section:
    """How many structures there were, and which failed where and why."""
    counts = outcome_counts(study.tables, study.sets)
    if counts.empty:
        reason = study.why_nowhere("structures")
        return Section("structures", "Structures", [page.missing("Structures", reason)])
    stages = [s for s in STAGES if s in set(counts["stage"])]
    table = counts.set_index(["set", "stage"])
    rows = []
    for name in dict.fromkeys(counts["set"]):
        first = counts[counts["set"] == name].iloc[0]
        cells = [
            page.whole(table.loc[(name, s), "ok"])
            if (name, s) in table.index
            else page.Number(page.NOT_A_NUMBER)
            for s in stages
        ]
        rows.append([name, page.whole(first["total"]), *cells])
    heads = {"structures": "Read and checked"}
    blocks = [
        page.paragraph(
            "Each structure passes the stages from left to right. One that fails is kept as a "
            "row with its reason and left out of what follows."
        ),
        page.table(
            ["Set", "Structures", *(heads.get(s, s.capitalize()) for s in stages)],
            rows,
            "Structures with a result, by set and stage",
        ),
        *_properties(study),
    ]
    names = list(dict.fromkeys(counts["set"]))
    return Section(
        "structures", "Structures", [*blocks, *_failures(study, names), *_warnings(study, names)]
    )


def _failures(study: Study, sets: list[str]) -> list[Html]:
    blocks = [page.heading("Failures")]
    failed = failures(study.tables, sets)
    if failed.empty:
        return [*blocks, page.paragraph("No structure failed in any stage.")]
    shown = failed.sort_values(
        ["structures", "set", "stage"], ascending=[False, True, True], kind="stable"
    )
    blocks.append(
        page.table(
            ["Set", "Stage", "Structures", "Reason", "Names"],
            [
                [r.set, r.stage, page.whole(r.structures), _reason(r), _names(r.names)]
                for r in shown.head(MAX_ROWS).itertuples()
            ],
            "Failed structures by the first stage that they failed in",
        )
    )
    if len(shown) > MAX_ROWS:
        blocks.append(
            page.paragraph(f"{page.counted(len(shown) - MAX_ROWS, 'further reason')} not listed.")
        )
    return blocks


def _warnings(study: Study, sets: list[str]) -> list[Html]:
    blocks = [page.heading("Warnings")]
    found = warning_counts(study.tables, sets)
    if found.empty:
        return [*blocks, page.paragraph("No structure was read with a warning.")]
    shown = found.sort_values(["set", "structures"], ascending=[True, False], kind="stable")
    return [
        *blocks,
        page.table(
            ["Set", "Warning", "Structures", "For example", "Names"],
            [
                [
                    r.set,
                    r.code.replace("_", " "),
                    page.whole(r.structures),
                    r.example,
                    _names(r.names),
                ]
                for r in shown.itertuples()
            ],
            "Structures that were read with a warning, and passed on",
        ),
    ]


def _properties(study: Study) -> list[Html]:
    sets = study.by_set("structures", "n_atoms", "volume_A3", "density_g_cm3")
    columns = (
        ("n_atoms", lambda v: page.whole(round(v))),
        ("volume_A3", lambda v: page.whole(round(v))),
        ("density_g_cm3", page.decimal),
    )
    rows = [
        [name, *(_spread(table[column], form) for column, form in columns)]
        for name, table in sets.items()
    ]
    if not rows:
        return []
    return [
        page.table(
            ["Set", "Atoms a cell", "Cell volume (Å³)", "Density (g cm⁻³)"],
            rows,
            "Median (first to third quartile) of the structures that were read",
        )
    ]


def _spread(values, form) -> page.Number:
    low, middle, high = quartiles(values)
    return page.Number(f"{form(middle)} ({form(low)} to {form(high)})")


def _reason(row) -> str:
    return row.reason + (" (the first; others differ in numbers)" if row.varied else "")


def _names(names: list[str]) -> str:
    rest = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def descriptors(study: Study) -> Section:
    """Pore geometry, energy histograms and percolation of the sets side by side."""
    blocks = [*_geometry(study), *_energy(study), *_percolation(study)]
    return Section("descriptors", "Descriptors", blocks)


def _geometry(study: Study) -> list[Html]:
    columns = ("lcd_A", "pld_A", "asa_m2_cm3", "void_fraction")
    sets = study.by_set("geometry", *columns)
    blocks = [page.heading("Pores")]
    if not sets:
        return [*blocks, page.missing("Pore geometry", study.why_nowhere("geometry"))]
    methane = study.setting("diffusion", "guest", default="CH4") == "CH4"
    marks = {"pld_A": (METHANE_DIAMETER_A, f"CH₄, {METHANE_DIAMETER_A} Å")} if methane else {}
    blocks += _absent_sets(study, sets, "geometry", "Pore geometry")
    blocks.append(
        study.figure(
            "descriptors",
            figures.distributions(sets, GEOMETRY_PANELS, marks),
            "Distributions of the geometric descriptors, as shares of each set.",
            "Histograms of largest cavity diameter, pore-limiting diameter, surface area and "
            "void fraction of each set; medians are in the table below.",
        )
    )
    forms = (page.decimal, page.decimal, lambda v: page.whole(round(v)), page.decimal)
    heads = ["LCD (Å)", "PLD (Å)", "Surface area (m² cm⁻³)", "Void fraction"]
    blocks.append(
        page.table(
            ["Set", *heads],
            [
                [name, *(_spread(t[c], f) for c, f in zip(columns, forms, strict=True))]
                for name, t in sets.items()
            ],
            "Median (first to third quartile)",
        )
    )
    if methane:
        tight = (
            f"{page.whole((t['pld_A'] < METHANE_DIAMETER_A).sum())} of {page.whole(len(t))} in "
            f"{name}"
            for name, t in sets.items()
        )
        blocks.append(
            page.paragraph(
                f"Pores narrower than the Lennard-Jones diameter of methane "
                f"({METHANE_DIAMETER_A} Å): {page.listed(list(tight))}. In these diffusion is "
                "slow, or more than a simulation of nanoseconds can see."
            )
        )
    return blocks


def _energy(study: Study) -> list[Html]:
    blocks = [page.heading("Energy histograms")]
    tables = {name: study.rows(f"{name}/energy") for name in study.sets}
    sets = {}
    for name, table in tables.items():
        bins = histogram_columns(table)
        rows = finite(table, *bins) if bins else table.iloc[:0]
        if len(rows):
            sets[name] = rows
    if not sets:
        return [*blocks, page.missing("Energy histograms", study.why_nowhere("energy"))]
    range_K = tuple(study.setting("energy", "range_K", default=(-4000.0, 5000.0)))
    blocks += _absent_sets(study, sets, "energy", "Energy histogram")
    parts = {name: mean_histogram(t)[0] for name, t in sets.items()}
    edge = max(range_K[1] - (range_K[1] - range_K[0]) / len(mean) for mean in parts.values())
    last = [f"{page.percent(mean[-1])} in {name}" for name, mean in parts.items()]
    blocks.append(
        study.figure(
            "energy",
            figures.energies(sets, range_K),
            "Mean histogram of the guest's energy on the grid, with the quartiles over structures "
            f"(shaded). The last bin is not drawn: all energies above {edge:g} K, that is the "
            f"framework itself, {page.listed(last)} of the grid points.",
            "Share of grid points against energy for each set.",
        )
    )
    return blocks


def _percolation(study: Study) -> list[Html]:
    blocks = [page.heading("Percolation")]
    sets = study.by_set("percolation", "barrier_1_K", "dimensionality", "henry_mol_kg_bar")
    if not sets:
        return [*blocks, page.missing("Percolation", study.why_nowhere("percolation"))]
    temperature = float(study.setting("percolation", "temperature_K", default=298.0))
    # a table from a file may do without
    mobility = {name: t.reindex(columns=["mobility"])["mobility"] for name, t in sets.items()}
    drawn = {
        name: t.assign(
            barrier_kT=t["barrier_1_K"].clip(upper=BARRIER_DRAWN_KT * temperature) / temperature,
            log_henry=np.log10(t["henry_mol_kg_bar"].where(t["henry_mol_kg_bar"] > 0)),
            log_mobility=np.log10(mobility[name].where(mobility[name] > 0)),
        )
        for name, t in sets.items()
    }
    blocks += [
        *_absent_sets(study, sets, "percolation", "Percolation"),
        study.figure(
            "percolation",
            figures.distributions(drawn, PERCOLATION_PANELS, {}),
            "The lowest energy at which the guest can travel through the crystal in one direction, "
            f"above its Henry free energy (all above {BARRIER_DRAWN_KT} kT in the last bin), how "
            "fast an overdamped guest diffuses in the channels relative to free space, and what "
            "it finds there at infinite dilution.",
            "Histograms of the barrier, the mobility, the Henry coefficient and the heat of "
            "adsorption of each set.",
        ),
        page.table(
            [
                "Set",
                "No channel",
                "1-D",
                "2-D",
                "3-D",
                "Barrier (K)",
                "Mobility",
                "Henry (mol kg⁻¹ bar⁻¹)",
            ],
            [
                [
                    name,
                    *(page.whole((t["dimensionality"] == d).sum()) for d in range(4)),
                    _spread(t["barrier_1_K"], lambda v: page.whole(round(v))),
                    _spread(mobility[name], lambda v: page.decimal(v, 3)),
                    _spread(t["henry_mol_kg_bar"], page.decimal),
                ]
                for name, t in sets.items()
            ],
            "Structures by the dimensionality of their channels; median (first to third quartile)",
        ),
    ]
    return blocks


def _absent_sets(study: Study, sets: dict, stage: str, what: str) -> list[Html]:
    gone = [n for n in ("source", "target") if n in study.sets and n not in sets]
    return [page.missing(f"{what} of {n}", study.why(f"{n}/{stage}")) for n in gone]


def uptake(study: Study) -> Section:
    """Isotherms of the sets and how they compare with RASPA3."""
    sets = study.by_set("uptake", "pressure_bar", "uptake_cm3stp_cm3")
    title = "Uptake"
    if not sets:
        blocks = [page.missing("Isotherms", study.why_nowhere("uptake"))]
        return Section("uptake", title, [*blocks, *_crosscheck(study, "uptake")])
    temperature = study.setting("uptake", "temperature_K")
    blocks = [
        page.paragraph(
            *_origin(
                study,
                list(sets),
                "uptake",
                f"Simulated by grand canonical Monte Carlo ({study.engine('uptake')}"
                + (f", {temperature:g} K" if temperature else "")
                + "), with pores that the guest cannot reach from outside kept empty.",
            )
        ),
        *_absent_sets(study, sets, "uptake", "Uptake"),
    ]
    many = [n for n, t in sets.items() if t["name"].nunique() > figures.MAX_ISOTHERMS]
    blocks.append(
        study.figure(
            "isotherms",
            figures.isotherms(sets),
            "Isotherms, a line a structure; black: the median of all."
            + (
                f" Of {page.listed(many)} {figures.MAX_ISOTHERMS} are drawn, evenly spread over "
                "the uptakes at the highest pressure."
                if many
                else ""
            ),
            "Uptake against pressure for every structure.",
        )
    )
    blocks.append(
        study.figure(
            "uptake_quartiles",
            figures.uptake_quartiles(sets),
            "Median uptake; bars reach from the first to the third quartile over structures, "
            "which is the spread of the sets, not an error.",
            "Median and quartiles of uptake against pressure for each set.",
        )
    )
    blocks += [_uptake_table(sets), *_precision(sets), *_pockets(sets)]
    return Section("uptake", title, [*blocks, *_crosscheck(study, "uptake")])


def _origin(study: Study, sets: list[str], stage: str, computed: str) -> list[str]:
    """How the tables of a stage came about: ``computed`` says it of those that no file holds."""
    files = {name: page.listed(study.files(name, stage)) for name in sets}
    if len(sets) == 1 and files[sets[0]]:
        return [f"Read from {files[sets[0]]}."]
    read = [f"The table of {name} is read from {text}." for name, text in files.items() if text]
    return [*([computed] if len(read) < len(sets) else []), *read]


def _uptake_table(sets: dict[str, pd.DataFrame]) -> Html:
    stats = {name: isotherm_quartiles(t).set_index("pressure_bar") for name, t in sets.items()}
    pressures = sorted({p for t in stats.values() for p in t.index})
    rows = []
    for p in pressures:
        cells = []
        for t in stats.values():
            if p in t.index:
                q = t.loc[p]
                spread = (
                    f"{page.significant(q['median'])} ({page.significant(q['q1'])} to "
                    f"{page.significant(q['q3'])})"
                )
                cells += [page.Number(spread), page.whole(q["n"])]
            else:
                cells += [page.Number(page.NOT_A_NUMBER), page.whole(0)]
        rows.append([page.Number(f"{p:g}"), *cells])
    heads = [h for name in stats for h in (f"{name} (cm³(STP) cm⁻³)", "n")]
    return page.folded(
        "Uptake by pressure in numbers",
        page.table(["Pressure (bar)", *heads], rows, "Median (first to third quartile)"),
    )


def _precision(sets: dict[str, pd.DataFrame]) -> list[Html]:
    lines = []
    for name, table in sets.items():
        rows = finite(usable(table, "uptake_err_cm3stp_cm3"), "uptake_err_cm3stp_cm3")
        rows = rows[rows["uptake_cm3stp_cm3"] > 0]
        if rows.empty:
            continue
        share = quartiles(rows["uptake_err_cm3stp_cm3"] / rows["uptake_cm3stp_cm3"])
        lines.append(f"{100 * share[1]:.2g} % in {name}")
    if not lines:
        return []
    return [
        page.paragraph(
            f"Median standard error of one uptake, from blocks of the run: {page.listed(lines)}."
        )
    ]


def _pockets(sets: dict[str, pd.DataFrame]) -> list[Html]:
    lines = []
    for name, table in sets.items():
        if "pocket_share" not in table.columns:
            continue
        blocked = table[pd.to_numeric(table["pocket_share"], errors="coerce") > POCKET_SHARE]
        lines.append(
            f"{page.whole(blocked['name'].nunique())} of {page.whole(table['name'].nunique())} in "
            f"{name}"
        )
    if not lines:
        return []
    return [
        page.paragraph(
            f"Structures with more than {page.percent(POCKET_SHARE)} of their Henry coefficient in "
            f"pockets that no channel reaches: {page.listed(lines)}."
        )
    ]


def diffusion(study: Study) -> Section:
    """Self-diffusivities of the target set, the comparison with LAMMPS, uptake against D."""
    title = "Diffusion"
    table = usable(study.tables.get("target/diffusion"), "d_m2_s", "d_err_m2_s", "diffusive")
    if table.empty:
        blocks = [page.missing("Diffusivities", study.why("target/diffusion"))]
        return Section("diffusion", title, [*blocks, *_crosscheck(study, "diffusion")])
    table = table.assign(diffusive=table["diffusive"].eq(True))
    n, n_diffusive = len(table), int(table["diffusive"].sum())
    rows = finite(table, "d_m2_s")
    positive = rows[rows["d_m2_s"] > 0].reset_index(drop=True)
    positive = positive.assign(
        d_err_m2_s=pd.to_numeric(positive["d_err_m2_s"], errors="coerce").astype(float)
    )
    blocks = [
        page.paragraph(
            *_origin_of_diffusion(study, n, n_diffusive),
            f"{page.counted(n - len(positive), 'structure')} without a positive value of D "
            f"{'is' if n - len(positive) == 1 else 'are'} not drawn."
            if len(positive) < n
            else "",
        ),
        *_why_not_diffusive(table),
    ]
    if positive.empty:
        blocks.append(page.missing("The distribution of D", "no structure has a positive D"))
    else:
        labels = positive[positive["diffusive"]]
        blocks += _diffusion_numbers(labels)
        blocks.append(
            study.figure(
                "diffusivities",
                figures.diffusivities(positive),
                "Left: distribution of D. Right: every structure by rising D, with one standard "
                "error; orange: not diffusive, an estimate or a bound in place of a value.",
                "Histogram of D and its values in rising order with error bars.",
            )
        )
    blocks += _crosscheck(study, "diffusion")
    blocks += _uptake_against_diffusion(study, positive)
    return Section("diffusion", title, blocks)


def _origin_of_diffusion(study: Study, n: int, n_diffusive: int) -> list[str]:
    """Where the diffusivities come from, and how many of them are labels."""
    files = study.files("target", "diffusion")
    if files:
        marked = f"{page.whole(n_diffusive)} of {page.counted(n, 'structure')} with a result are"
        return [
            f"Self-diffusivities read from {page.listed(files)}.",
            f"{marked} marked diffusive; only these are labels for learning."
            if n_diffusive < n
            else f"{page.counted(n, 'structure')} with a result.",
        ]
    temperature = study.setting("diffusion", "temperature_K")
    return [
        f"Self-diffusivity at infinite dilution by molecular dynamics ({study.engine('diffusion')}"
        + (f", {temperature:g} K" if temperature else "")
        + ").",
        f"{page.whole(n_diffusive)} of {page.counted(n, 'structure')} with a result reached "
        "the diffusive regime"
        + (
            "; only these are labels for learning. For the others D is an estimate by "
            "transition-state theory (engine tst) or a bound, an upper one unless noted."
            if n_diffusive < n
            else "."
        ),
    ]


def _why_not_diffusive(table: pd.DataFrame) -> list[Html]:
    rows = table[~table["diffusive"]]
    if rows.empty or "note" not in rows.columns:
        return []
    notes = rows["note"].fillna("").replace("", "no reason given").value_counts()
    items = [f"{page.whole(n)}: {text}" for text, n in notes.head(MAX_ROWS).items()]
    return [page.paragraph("Not diffusive, and why:"), page.bullets(items)]


def _diffusion_numbers(labels: pd.DataFrame) -> list[Html]:
    if labels.empty:
        return []
    low, middle, high = quartiles(labels["d_m2_s"])
    error = quartiles(labels["d_err_m2_s"] / labels["d_m2_s"])[1]
    slow = int((labels["d_m2_s"] < SLOW_M2_S).sum())
    return [
        page.paragraph(
            f"Median D of the diffusive structures: {page.significant(middle)} m² s⁻¹ (quartiles "
            f"{page.significant(low)} and {page.significant(high)}, range "
            f"{page.significant(labels['d_m2_s'].min())} to "
            f"{page.significant(labels['d_m2_s'].max())}).",
            f"Median relative standard error: {page.percent(error)}." if error == error else "",
            f"{page.counted(slow, 'value')} below {page.significant(SLOW_M2_S, 1)} m² s⁻¹: so slow "
            "that vibration weighs on a displacement of nanoseconds, and the label with it."
            if slow
            else "",
        )
    ]


def _uptake_against_diffusion(study: Study, positive: pd.DataFrame) -> list[Html]:
    blocks = [page.heading("Uptake against diffusivity")]
    what = "Uptake against diffusivity"
    uptakes = study.rows("target/uptake", "pressure_bar", "uptake_cm3stp_cm3")
    density = study.rows("target/structures", "density_g_cm3")
    if uptakes.empty:
        return [*blocks, page.missing(what, study.why("target/uptake"))]
    if density.empty:
        return [*blocks, page.missing(what, study.why("target/structures"))]
    labels = positive[positive["diffusive"]] if len(positive) else positive
    pressures = sorted(uptakes["pressure_bar"].unique())
    pressure = min(pressures, key=lambda p: (abs(p - STORAGE_PRESSURE_BAR), p))
    at = uptakes[uptakes["pressure_bar"] == pressure][["name", "uptake_cm3stp_cm3"]]
    both = labels.merge(at, on="name").merge(density[["name", "density_g_cm3"]], on="name")
    if both.empty:
        return [
            *blocks,
            page.missing(what, "no structure has uptake, density and a diffusivity at once"),
        ]
    return [
        *blocks,
        study.figure(
            "uptake_against_diffusivity",
            figures.uptake_against_diffusivity(both, pressure),
            f"Uptake at {pressure:g} bar against diffusivity of {page.counted(len(both), 'target')}"
            " with a diffusivity, coloured by density.",
            "Scatter of diffusivity against uptake, coloured by density.",
        ),
    ]


# What is compared in a stage: value, standard error, label, reference engine.
_COMPARED = {
    "uptake": ("uptake_mol_kg", "uptake_err_mol_kg", "uptake (mol kg⁻¹)", "RASPA3"),
    "diffusion": ("d_m2_s", "d_err_m2_s", "D (m² s⁻¹)", "LAMMPS"),
}


def verdict(study: Study, stage: str) -> tuple[str, dict | None]:
    """One sentence on how our engine agrees with the reference code, and the counts.

    Returns
    -------
    str
        Empty where there is nothing to compare.
    dict or None
        See :func:`poreflux.report.summary.agreement`.
    """
    from_table = study.tables.get(f"target/crosscheck_{stage}")
    if from_table is None or from_table.empty:
        return "", None
    value, _, _, reference = _COMPARED[stage]
    found = agreement(from_table, value)
    if not found["n"]:
        return "", found
    worst = found["worst"]
    place = f" at {worst['pressure_bar']:g} bar" if "pressure_bar" in worst.index else ""
    sentence = (
        f"{found['agree']} of {page.counted(found['n'], 'value')} agree with "
        f"{reference} within {AGREEMENT_SE:g} combined standard errors; the largest "
        f"deviation is {abs(worst['deviation_se']):.1f} of them ({worst['name']}{place})"
    )
    return sentence, found


def _crosscheck(study: Study, stage: str) -> list[Html]:
    value, error, quantity, name = _COMPARED[stage]
    key = f"target/crosscheck_{stage}"
    blocks = [page.heading(f"Against {name}")]
    table = study.tables.get(key)
    if table is None or table.empty:
        why = (
            study.why(key)
            if table is None
            else "no structure was fit for it (diffusive, no closed pockets), or its table is empty"
        )
        return [*blocks, page.missing(f"The comparison with {name}", why)]
    columns = [value, f"{value}_reference", error, f"{error}_reference", "deviation_se"]
    table = table.reindex(columns=[*table.columns, *(c for c in columns if c not in table.columns)])
    pairs = finite(usable(table), value, f"{value}_reference")
    for c in (error, f"{error}_reference", "deviation_se"):
        pairs[c] = pd.to_numeric(pairs[c], errors="coerce").astype(float)
    sentence, found = verdict(study, stage)
    unpaired = found["failed"]
    relative = found["relative"]
    blocks.append(
        page.paragraph(
            f"{page.counted(pairs['name'].nunique(), 'target structure')} repeated with {name}."
            if len(pairs)
            else "",
            f"{sentence}." if sentence else "",
            f"Median deviation: {100 * relative:.2g} %." if relative == relative else "",
        )
    )
    if unpaired:
        failed = table[table["status"] != "ok"] if "status" in table.columns else table.iloc[:0]
        first = f" First reason: {failed['reason'].iloc[0]}." if len(failed) else ""
        blocks.append(page.note(f"{page.counted(unpaired, 'row')} could not be compared.{first}"))
    if pairs.empty:
        return [*blocks, page.missing(f"The comparison with {name}", study.why(key))]
    ours = study.engine(stage)
    blocks.append(
        study.figure(
            f"crosscheck_{stage}",
            figures.parity(pairs, value, error, quantity, (ours, name)),
            f"The {ours} against {name}, with one standard error of both; on the line they are "
            "equal.",
            f"Parity plot of {ours} and {name}.",
        )
    )
    has_pressure = "pressure_bar" in pairs.columns
    rows = []
    for _, r in pairs.head(MAX_ROWS).iterrows():
        cells = [r["name"]]
        if has_pressure:
            cells.append(page.Number(f"{r['pressure_bar']:g}"))
        cells += [
            page.with_error(r[value], r[error]),
            page.with_error(r[f"{value}_reference"], r[f"{error}_reference"]),
            _deviation(r[value], r[f"{value}_reference"]),
            page.decimal(r["deviation_se"], 1),
        ]
        rows.append(cells)
    heads = [f"{ours}: {quantity}", f"{name}: {quantity}", "Deviation (%)", "In standard errors"]
    pressure_head = ["Pressure (bar)"] if has_pressure else []
    blocks.append(page.table(["Structure", *pressure_head, *heads], rows))
    if len(pairs) > MAX_ROWS:
        blocks.append(
            page.paragraph(f"{page.counted(len(pairs) - MAX_ROWS, 'further row')} not listed.")
        )
    return blocks


def _deviation(value: float, reference: float) -> page.Number:
    if not reference:
        return page.Number(page.NOT_A_NUMBER)
    return page.decimal(100 * (value - reference) / reference, 1)
