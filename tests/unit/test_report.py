"""The report: its numbers are those of the tables, and nothing missing breaks it."""

import copy
import hashlib
import itertools
import math
import re
import tomllib
from html.parser import HTMLParser

import jinja2
import numpy as np
import pandas as pd
import pytest

from poreflux import report
from poreflux.data.features import FEATURE_SETS, GEOMETRY_COLUMNS
from poreflux.learning.learners import algorithms
from poreflux.report import numbers
from poreflux.report.figures import style
from poreflux.report.rendering import render
from poreflux.report.scores import score_summary
from poreflux.report.sections import near_duplicates, source_advice
from poreflux.report.sections.catalogue import all_structures
from poreflux.report.sections.diffusion import draw_diffusivities
from poreflux.report.sections.headline import headline
from poreflux.report.sections.importance import importance_distances
from poreflux.report.sections.pretraining import draw_pretraining
from poreflux.report.sections.source_advice import advice_table, draw_advice
from poreflux.report.sections.structures import complete_structures, failures, warning_counts
from poreflux.report.sections.transfer import draw_learning_curves, draw_scores
from poreflux.report.sources import with_source
from poreflux.report.statistics import joint_deviation, rank_correlation
from poreflux.report.study import Study
from poreflux.report.words import learner_in_words
from poreflux.run import config as poreflux_config
from poreflux.run.plan import StudyPlan

PRESSURES = [0.25, 1.0, 10.0, 65.0, 100.0]
BINS = 12
EVIL = '<b>x & "y"'
SECTIONS = (
    "held-out",
    "catalogue",
    "structures",
    "descriptors",
    "channels",
    "uptake",
    "diffusion",
    "pretraining",
    "transfer",
    "near-duplicates",
    "importance",
    "provenance",
)
VOID = {"meta", "img", "br", "input", "source"}


def simulated_set(rng, prefix, n, failed):
    """Plausible tables of the per-structure stages; the last ``failed`` structures are broken."""
    names = [f"{prefix}{k:03d}" for k in range(n)]
    ok = np.arange(n) < n - failed
    status, reason = np.where(ok, "ok", "failed"), np.where(ok, "", "two atoms 0.31 Å apart")
    base = pd.DataFrame({"name": names, "status": status, "reason": reason})
    base["content_hash"] = [hashlib.sha256(x.encode()).hexdigest() for x in names]
    good = np.where(ok, 1.0, np.nan)
    void = np.clip(rng.beta(4, 3, n), 0.05, 0.95)
    density = 2.4 * (1 - void) + 0.15 * rng.random(n)
    structures = base.assign(
        formula="C8 H4 O4 Zn",
        n_atoms=good * rng.integers(40, 600, n),
        volume_A3=good * rng.uniform(1500, 20000, n),
        density_g_cm3=good * density,
        warnings=np.where(np.arange(n) % 5 == 0, "no_metal: Si O2; density: 0.01 g/cm3", ""),
    )
    pld = 2.5 + 12 * void**2 * rng.lognormal(0, 0.25, n)
    geometry = base.assign(
        lcd_A=good * (pld + rng.gamma(2, 1.2, n)),
        pld_A=good * pld,
        asa_m2_cm3=good * 3200 * void * (1 - 0.4 * void),
        asa_m2_g=good * 3200 * void * (1 - 0.4 * void) / density,
        void_fraction=good * void,
    )
    x = np.linspace(-4000, 5000, BINS)
    shares = np.exp(-(((x + 1800 * (1.2 - void[:, None])) / 900) ** 2)) * void[:, None] * 0.3
    shares[:, -1] = 1 - shares[:, :-1].sum(axis=1)
    energy = base.assign(n_grid=5000)
    for k in range(BINS):
        energy[f"h{k:02d}"] = good * shares[:, k]
    barrier = 300 + 6000 * (1 - void) ** 2
    percolation = base.assign(
        barrier_1_K=good * barrier,
        dimensionality=good * np.where(barrier < 2000, 3, 1),
        accessible_fraction=good * void,
        henry_mol_kg_bar=good * rng.uniform(0.1, 3, n),
        heat_of_adsorption_kJ_mol=good * rng.uniform(8, 30, n),
        mobility=good * np.exp(-barrier / 300),
    )
    rows = []
    for k in range(n):
        if not ok[k]:
            rows.append(base.iloc[k].to_dict())
            continue
        strength = 0.02 + 0.25 * (1 - void[k])
        for p in PRESSURES:
            u = 330 * void[k] * strength * p / (1 + strength * p)
            rows.append(
                base.iloc[k].to_dict()
                | {
                    "pressure_bar": p,
                    "fugacity_bar": 0.9 * p,
                    "uptake_cm3stp_cm3": u,
                    "uptake_err_cm3stp_cm3": 0.01 * u,
                    "uptake_mol_kg": u / 22.4 / density[k],
                    "uptake_err_mol_kg": 0.01 * u / 22.4 / density[k],
                    "pocket_share": 0.05 if k % 9 == 0 else 0.0,
                    "engine": "grid",
                }
            )
    d = 10 ** (-7.2 - 3.5 * (1 - void) ** 2 + 0.4 * rng.standard_normal(n))
    diffusion = base.assign(
        d_m2_s=good * d,
        d_err_m2_s=good * d * rng.uniform(0.02, 0.2, n),
        msd_loglog_slope=good,
        diffusive=pd.Series(np.where(ok, d > 3e-10, None), dtype=object),
        n_molecules=good * 30,
        engine="grid",
    )
    return {
        "structures": structures,
        "geometry": geometry,
        "energy": energy,
        "percolation": percolation,
        "uptake": pd.DataFrame(rows),
        "diffusion": diffusion,
    }


def crosscheck(rng, table, value, error, names, pressures):
    """Reference results near ours, as ``crosscheck.compare`` lays them out."""
    rows = table[table["name"].isin(names)]
    if pressures:
        rows = rows[rows["pressure_bar"].isin(pressures)]
    rows = rows[
        [c for c in ("name", "status", "reason", "pressure_bar", value, error) if c in rows]
    ]
    reference = rows[value] * (1 + 0.015 * rng.standard_normal(len(rows)))
    spread = np.hypot(rows[error], 0.01 * reference)
    return rows.assign(
        **{f"{value}_reference": reference, f"{error}_reference": 0.01 * reference},
        deviation_se=(rows[value] - reference) / spread,
    ).reset_index(drop=True)


def learnt(rng, sizes=(40, 80), draws=20):
    """Scores, pretraining and importance of both learners."""
    scores, pretraining = [], []
    for learner, level in (("mlp", 0.1), ("xgboost", 0.25)):
        for k, p in enumerate(PRESSURES):
            r2 = 0.88 + 0.02 * k + 0.1 * (level - 0.1)
            pretraining.append(
                {
                    "learner": learner,
                    "source_pressure_bar": p,
                    "source_label": f"uptake_{p:g}bar",
                    "r2": r2,
                    "rmse": 3.0 + k,
                    "mae": 2.0 + k,
                    "n": 150,
                    "n_test": 30,
                }
            )
        for size in sizes:
            for draw in range(draws):
                luck = 0.1 * rng.standard_normal()
                for k, p in enumerate([math.nan, *PRESSURES]):
                    r2 = level + 0.004 * size + luck + 0.02 * k + 0.1 * rng.standard_normal()
                    r2 = min(r2, 0.97)
                    scores.append(
                        {
                            "kind": "tl" if k else "dl",
                            "learner": learner,
                            "source_pressure_bar": p,
                            "source_label": "" if p != p else f"uptake_{p:g}bar",
                            "size": size,
                            "draw": draw,
                            "r2": r2,
                            "rmse": 0.8 - 0.4 * r2,
                            "mae": 0.6 - 0.3 * r2,
                            "n_test": size // 5,
                            "r2_rest": r2 - 0.01,
                            "r2_rest_new": r2 - 0.02,
                            "n_rest_new": 30.0 + draw,
                            "line_left_out_r2": 0.1 * k if k else math.nan,
                            "logme": 0.1 * k - 1.5 if k else math.nan,
                        }
                    )
    features = ["lcd_A", "pld_A", "asa_m2_cm3", "asa_m2_g", "void_fraction"]
    features += [f"h{k:02d}" for k in range(BINS)]
    importance = []
    for k, p in enumerate([math.nan, *PRESSURES]):
        pfi = np.linspace(0.2, 1.0, len(features)) ** 3 + 0.3 / (k + 1) * rng.random(len(features))
        for feature, value in zip(features[::-1], pfi, strict=True):
            importance.append(
                {
                    "kind": "source" if k else "dl",
                    "source_pressure_bar": p,
                    "source_label": "" if p != p else f"uptake_{p:g}bar",
                    "feature": feature,
                    "pfi": value,
                    "pfi_normalised": value / pfi.sum(),
                }
            )
    return {
        "study/pretraining": pd.DataFrame(pretraining),
        "study/scores": pd.DataFrame(scores),
        "study/importance": pd.DataFrame(importance),
    }


def complete_tables():
    rng = np.random.default_rng(7)
    source = simulated_set(rng, "hmof", 60, 2)
    target = simulated_set(rng, "core", 50, 3)
    tables = {f"source/{k}": t for k, t in source.items() if k != "diffusion"}
    tables |= {f"target/{k}": t for k, t in target.items()}
    tables["target/crosscheck_uptake"] = crosscheck(
        rng,
        tables["target/uptake"],
        "uptake_mol_kg",
        "uptake_err_mol_kg",
        ["core001", "core020"],
        [1.0, 10.0, 65.0],
    )
    tables["target/crosscheck_diffusion"] = crosscheck(
        rng, tables["target/diffusion"], "d_m2_s", "d_err_m2_s", ["core001", "core020"], None
    )
    cost = [("geometry", "target", 47, 12.0), ("uptake", "source", 58, 580.0)]
    cost.append(("diffusion", "target", 47, 940.0))
    tables["study/cost"] = pd.DataFrame(cost, columns=["stage", "set", "structures", "cpu_s"])
    tables["study/held_out"] = held_out(rng, target["diffusion"])
    tables["study/landscape"] = landscape("core001")
    tables["target/groups"] = groups(target["structures"])
    return tables | learnt(rng)


def landscape(name):
    """A channel along x in a box of 6 Å: a trough, its bottom and an atom beside it."""
    axis = np.linspace(0, 6, 7)
    x, y, z = (c.ravel() for c in np.meshgrid(axis, axis, axis, indexing="ij"))
    energy = 400.0 * ((y - 3) ** 2 + (z - 3) ** 2) - 2000 + 300 * np.sin(np.pi * x / 2)
    grid = pd.DataFrame({"part": "energy", "x_A": x, "y_A": y, "z_A": z, "energy_K": energy})
    bottom = grid[(y == 3) & (z == 3)].assign(part="path")
    atom = pd.DataFrame({"part": ["atom"], "x_A": 1.0, "y_A": 0.5, "z_A": 0.5, "element": "Zn"})
    return pd.concat([grid, bottom, atom], ignore_index=True).assign(name=name)


def groups(structures):
    """Near duplicates of what was read: a pair, a group of three, and the others alone."""
    rows = structures[structures["status"] == "ok"]
    numbers = pd.Series(range(len(rows)), rows["name"])
    numbers[["core004", "core009"]] = 4
    numbers[["core002", "core017", "core030"]] = 2
    return rows[["name", "content_hash"]].assign(
        group=numbers.to_numpy(), framework="C8 Zn", note=""
    )


def held_out(rng, diffusion):
    """Predictions of the diffusive structures, 0.2 decades beside what was simulated."""
    rows = diffusion[diffusion["diffusive"].eq(True)]
    value = np.log10(rows["d_m2_s"].to_numpy() / 1e-8)
    return rows[["name", "content_hash"]].assign(
        label="diffusivity",
        value=value,
        predicted=value + 0.2 * rng.standard_normal(len(rows)),
        predicted_std=0.2,
        n_models=rng.integers(2, 8, len(rows)),
        model="xgboost tl uptake_100bar",
    )


def complete_facts(root, **changes):
    given = {
        "study": "demo",
        "energy": {"bins": BINS},
        "structures": {
            "source": {
                "package": "pormake",
                "names": ["a"],
                "stages": ["geometry", "energy", "percolation", "uptake"],
            },
            "target": {"package": "core-mof", "names": ["b"]},
        },
    }
    plan = StudyPlan(poreflux_config.complete(given | changes), root)
    engines = {"geometry": {"pyzeo": "0.1.6"}, "learning": {"torch": "2.13.0"}}
    return plan.facts() | {"engines": engines}


class Page(HTMLParser):
    """Checks that tags nest and gathers text, links, headings and cells."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.links, self.ids, self.tags = [], [], [], []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value)
            elif name == "id":
                self.ids.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text += data


def built(tables, facts, folder):
    path = report.build(tables, facts, folder)
    assert path == folder / "index.html"
    read = Page(path.read_text(encoding="utf-8"))
    read.text = re.sub(r"\s+", " ", read.text)
    for section in SECTIONS:
        assert section in read.ids
    assert len(set(read.ids)) == len(read.ids)
    for link in read.links:
        if link.startswith("#"):
            assert link[1:] in read.ids
        elif not link.startswith(("https://doi.org/", "data:image/png;base64,")):
            assert (folder / link).stat().st_size > 0, link
    files = {f"figures/{p.name}" for p in (folder / "figures").iterdir()}
    assert files == {link for link in read.links if link.startswith("figures/")}
    return read


def undrawn(folder):
    """The text of a page without its drawings, some of which a test leaves out."""
    text = (folder / "index.html").read_text(encoding="utf-8")
    return re.sub(r'"data:image[^>]+>', "", text)


def render_only(monkeypatch, *names):
    """Draw every figure but render these alone, which is most of the time."""
    save = style.save

    def save_some(figure, folder, name):
        if name in names:
            return save(figure, folder, name)
        for kind in ("png", "svg"):
            (folder / f"{name}.{kind}").write_text(name)
        return style.Drawn(b"wide", 4.0, 3.0), style.Drawn(b"narrow", 2.0, 3.0)

    monkeypatch.setattr(style, "save", save_some)


@pytest.fixture
def quick(monkeypatch):
    render_only(monkeypatch)


@pytest.fixture(scope="module")
def facts(root):
    return complete_facts(root)


@pytest.fixture(scope="module")
def tables():
    return complete_tables()


def overprinted(figure):
    """Pairs of labels of ticks that lie upon each other along an axis of a drawn figure."""
    found = []
    for axes in figure.axes:
        for axis, side in ((axes.xaxis, "width"), (axes.yaxis, "height")):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            shown = [
                tick.label1
                for tick in ticks
                if low <= tick.get_loc() <= high and tick.label1.get_visible()
            ]
            labels = [
                (label.get_window_extent(), label.get_text())
                for label in shown
                if label.get_text() and not label.get_rotation()
            ]
            start = "x0" if side == "width" else "y0"
            labels.sort(key=lambda label: getattr(label[0], start))
            for (box, text), (after, other) in itertools.pairwise(labels):
                if getattr(box, start) + getattr(box, side) > getattr(after, start) + 0.5:
                    found.append((axes.get_title(), axes.get_xlabel(), text, other))
    return found


@pytest.fixture(scope="module")
def crowded():
    """Labels of ticks that lie upon each other, by the width of the figure, of ``whole``."""
    return {}


@pytest.fixture(scope="module")
def whole(tables, facts, tmp_path_factory, crowded):
    """The report of the complete tables: its folder and its page."""
    folder = tmp_path_factory.mktemp("report")
    draw = style._as_png

    def draw_and_look(figure):
        drawn = draw(figure)
        crowded.setdefault(drawn.width, []).extend(overprinted(figure))
        return drawn

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "_as_png", draw_and_look)
        return folder, built(tables, facts, folder)


@pytest.mark.slow("draws a whole page")
def test_no_labels_lie_upon_each_other(whole, crowded):
    assert {style.WIDTH, style.NARROW_WIDTH} <= set(crowded)
    assert [text for texts in crowded.values() for text in texts] == []


@pytest.mark.parametrize("ends", [(5e-10, 7e-8), (1.9e-8, 3.31e-8)])
def test_labels_of_a_narrow_range_of_diffusivities_do_not_overprint(ends):
    """In half the width of a page: two decades, as of 100 CoRE MOFs, and less than one octave."""
    table = pd.DataFrame({"d_m2_s": np.geomspace(*ends, 100), "d_err_m2_s": 1e-10})
    made = draw_diffusivities(table.assign(diffusive=True))
    for figure in (made, style.narrow_form(made)):
        style._as_png(figure)
        assert overprinted(figure) == []
        for axis in (figure.axes[0].xaxis, figure.axes[1].yaxis):
            texts = [label.get_text() for label in axis.get_ticklabels()]
            assert len(texts) == len(set(texts)) > 1


@pytest.mark.slow("draws a whole page")
def test_complete_page_has_every_figure_and_nothing_missing(whole):
    folder, read = whole
    names = {p.stem for p in (folder / "figures").iterdir()}
    assert names == {
        "descriptors",
        "energy",
        "percolation",
        "isotherms",
        "uptake_quartiles",
        "crosscheck_uptake",
        "diffusivities",
        "crosscheck_diffusion",
        "uptake_against_diffusivity",
        "pretraining",
        "held_out",
        "structures",
        "channels",
        "scores",
        "wins_mlp",
        "wins_xgboost",
        "learning_curves",
        "importance_mlp",
        "advice_mlp",
        "advice_xgboost",
    }
    assert "not shown" not in read.text
    assert "nan" not in read.text.lower().replace("nanosecond", "")
    # two of data, plotly and our own
    assert read.tags.count("script") == 4 and "link" not in read.tags


def test_page_on_descriptors_alone(tables, facts, tmp_path):
    few = {k: t for k, t in tables.items() if k.split("/")[-1] in ("structures", "percolation")}
    report.build(few, facts, tmp_path, ["structures", "descriptors"])
    read = Page((tmp_path / "index.html").read_text())
    assert {"structures", "descriptors", "provenance"} <= set(read.ids)
    assert not {"uptake", "transfer", "importance", "catalogue"} & set(read.ids)
    assert {p.stem for p in (tmp_path / "figures").iterdir()} == {"percolation"}


def test_warnings_are_counted_by_code():
    table = pd.DataFrame(
        {
            "name": ["b", "a", "c"],
            "warnings": ["close_contacts: C, H 0.8 Å; no_metal: C H4", "close_contacts: x: y", ""],
        }
    )
    found = warning_counts({"t/structures": table}, ["t", "absent"])
    assert found[["set", "code", "structures", "example"]].values.tolist() == [
        ["t", "close_contacts", 2, "x: y"],
        ["t", "no_metal", 1, "C H4"],
    ]
    assert found["names"].tolist() == [["a", "b"], ["b"]]


@pytest.mark.slow("draws a whole page")
def test_page_needs_nothing_from_outside(whole):
    folder, _ = whole
    text = (folder / "index.html").read_text()
    assert text.index("Content-Security-Policy") < text.index("<style>")
    # what the scripts ask for, the browser tells: test_report_page.py
    text = re.sub(r"<script>.*?</script>|data:image/png;base64,[^\"]+", "", text, flags=re.DOTALL)
    urls = re.findall(r"(?:https?:)?//[^\s\"'<>)]+", text)
    assert urls and all(u.startswith("https://doi.org/") for u in urls)
    assert "@import" not in text and "url(" not in text
    for svg in (folder / "figures").glob("*.svg"):
        assert "<date>" not in svg.read_text() and "dc:date" not in svg.read_text()


@pytest.mark.slow("draws pages")
def test_equal_tables_give_equal_files(tables, facts, whole, tmp_path, monkeypatch):
    chosen = ("wins_mlp", "uptake_against_diffusivity")
    render_only(monkeypatch, *chosen)
    report.build(tables, facts, tmp_path)
    for name in (f"figures/{n}.{kind}" for n in chosen for kind in ("png", "svg")):
        assert (tmp_path / name).read_bytes() == (whole[0] / name).read_bytes(), name
    assert undrawn(tmp_path) == undrawn(whole[0])


@pytest.mark.slow("draws a whole page")
def test_counts_and_failures(whole):
    text = whole[1].text
    # 60 - 2 and 50 - 3: as the tables were made
    assert "58 of 60 source structures (2 failed)" in text
    assert "47 of 50 target structures (3 failed)" in text
    assert "two atoms 0.31 Å apart" in text
    assert "core047, core048, core049" in text


@pytest.mark.slow("draws a whole page")
def test_medians_and_wins_are_those_of_the_scores(tables, whole):
    scores = tables["study/scores"]
    values = {}
    for p in PRESSURES:
        rows = scores[(scores.learner == "mlp") & (scores["size"] == 80)]
        values[p] = sorted(rows[rows.source_pressure_bar == p].sort_values("draw").r2)
    medians = {p: (v[9] + v[10]) / 2 for p, v in values.items()}  # of 20 draws
    best = max(medians, key=medians.get)
    direct = rows[rows.kind == "dl"].set_index("draw").r2
    transfer = rows[rows.source_pressure_bar == best].set_index("draw").r2
    won = sum(transfer[d] > direct[d] for d in range(20))
    text = whole[1].text
    best_one = f"the uptake at {best:g} bar, the best of 5 sources in hindsight"
    assert f"transfer from {best_one}, wins {won} of 20 draws" in text
    assert f"wins {won} of 20 draws ({won * 5} %, 95 % interval" in text
    assert f"{medians[best]:.2f} (" in text
    ordered = sorted(direct)
    low = ordered[4] + 0.75 * (ordered[5] - ordered[4])  # 0.25 * 19 = 4.75
    assert f"{(ordered[9] + ordered[10]) / 2:.2f} ({low:.2f} to " in text


@pytest.mark.slow("draws a whole page")
def test_diffusion_counts_only_what_ran(tables, whole):
    table = tables["target/diffusion"]
    ok = table[table.status == "ok"]
    n = sum(v is True or v == 1 for v in ok.diffusive)
    assert 0 < n < len(ok)
    words = f"{n} of {len(ok)} structures with a result are diffusive; only these are labels"
    assert words in whole[1].text


@pytest.mark.slow("draws a whole page")
def test_agreement_counts(tables, whole):
    deviations = tables["target/crosscheck_uptake"]["deviation_se"]
    agree = sum(abs(d) <= 3 for d in deviations)
    assert agree == 6 and "6 values against RASPA3: agreement; chance alone" in whole[1].text
    assert f"the largest deviation is {max(map(abs, deviations)):.1f}" in whole[1].text


def test_values_of_two_codes_are_judged_together(tables, facts, tmp_path, quick):
    """Tables of chi-square: 11.34 for 3 values has a probability of 1 %."""
    assert joint_deviation(np.full(3, np.sqrt(11.3449 / 3)))[1] == pytest.approx(0.01, rel=1e-4)
    some = copy.deepcopy(tables)
    key = "target/crosscheck_uptake"
    some[key]["deviation_se"] = [2.9, 2.4, 0.9, 0.3, -0.4, 1.8]
    text = built(some, facts, tmp_path).text
    # 18.5 for six values
    assert "6 values against RASPA3: no agreement; chance alone" in text
    assert "(chi-square 18.5 for 6 values)" in text
    assert "taken together those with RASPA3 do not agree" in text
    some[key]["deviation_se"] = [0.9, -1.4, 0.9, 0.3, -0.4, 1.8]
    text = built(some, facts, tmp_path / "again").text
    assert "6 values against RASPA3: agreement; chance alone" in text
    assert "(chi-square 7.07 for 6 values)" in text


def page_of(folder):
    return (folder / "index.html").read_text(encoding="utf-8")


def finding(text):
    found = re.search(r'<p class="finding">(.*?)</p>', text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", found[1])


def with_gain(tables, gain, n_test=16):
    """Scores of which transfer gains so much in every draw, of tight draws."""
    scores = tables["study/scores"]
    direct = 0.7 + 0.01 * (scores["draw"] % 5) + 0.1 * (scores["learner"] == "xgboost")
    r2 = direct + gain * (scores["kind"] == "tl")
    return tables | {"study/scores": scores.assign(r2=r2, rmse=0.25, n_test=n_test)}


@pytest.mark.slow("draws pages")
def test_the_first_sentence_says_what_was_found(tables, facts, tmp_path, quick):
    text = built(with_gain(tables, 0.004), facts, tmp_path).text
    # 0.80 to 0.84 in equal numbers: the median is 0.82; every draw is won, by nothing
    assert finding(page_of(tmp_path)) == (
        "XGBoost on geometry and energy histogram (xgboost) predicts log D of structures that it "
        "has not seen to 0.25 decades of D (R² 0.82) from 80 labelled structures; transfer from "
        "uptakes adds nothing: do not transfer."
    )
    assert "no gain" in text and "Do not transfer: none of 5 sources gains 0.02 or more" in text
    assert "too small to judge" not in text
    built(with_gain(tables, 0.1), facts, tmp_path)
    assert "(R² 0.92)" in finding(page_of(tmp_path)) and "from 80 labelled structures" in finding(
        page_of(tmp_path)
    )
    added = r"of that R², transfer from the uptake at \S+ bar adds 0.10\.$"
    assert re.search(added, finding(page_of(tmp_path)))
    built(with_gain(tables, 0.0) | {"study/scores": tables["study/scores"].assign(r2=-0.5)}, facts,
          tmp_path)  # fmt: skip
    assert finding(page_of(tmp_path)).startswith("No learner predicts log D better than its mean")


@pytest.mark.slow("draws pages")
@pytest.mark.parametrize("lacking", ["tests", "draws", "agreement"])
def test_a_small_study_claims_nothing(tables, facts, tmp_path, quick, lacking):
    some = with_gain(tables, 0.1, n_test=2 if lacking == "tests" else 16)
    scores = some["study/scores"]
    if lacking == "draws":
        some["study/scores"] = scores[scores["draw"] < 3]
    if lacking == "agreement":
        some["study/scores"] = scores.assign(r2=scores["r2"] - 0.2 * (scores["draw"] % 4))
    text = built(some, facts, tmp_path).text
    reason = {
        "tests": "2 test structures per draw (at least 8)",
        "draws": "3 draws (at least 5)",
        "agreement": "half of the draws have an R² outside",
    }[lacking]
    assert f"This study is too small to judge: {reason}" in text
    assert finding(page_of(tmp_path)).startswith("Nothing can be concluded yet")
    assert "best median R²" not in text and "no gain" not in text
    if lacking != "agreement":
        assert "Do not transfer" not in text and "Transfer from" not in text
        assert "the study is too small to tell" in text


@pytest.mark.parametrize("learner", ["gp-line+mobility", "xgboost", "unheard-of"])
def test_a_learner_has_a_capital_only_where_a_sentence_begins(tables, facts, tmp_path, learner):
    known = with_gain(tables, 0.0)["study/scores"].assign(learner=learner)
    found = {
        of: finding(headline(Study(tables | {"study/scores": scores}, facts, tmp_path)))
        for of, scores in {
            "first": known,
            "too small": known.assign(n_test=2),
            "no better than the mean": known.assign(r2=-0.5),
        }.items()
    }
    words = learner_in_words(learner)
    assert found["first"].startswith(words[0].upper() + words[1:] + " predicts")
    assert f"best learner here, {words}, reaches" in found["too small"]
    assert f"the best, {words}, reaches" in found["no better than the mean"]


def test_the_first_sentences_say_what_the_score_owes_to_near_duplicates(tables, facts, tmp_path):
    some = with_gain(tables, 0.004)
    r2 = some["study/scores"]["r2"]

    def said(rest, new, **more):
        scores = some["study/scores"].assign(r2_rest=rest, r2_rest_new=new, **more)
        return finding(headline(Study(some | {"study/scores": scores}, facts, tmp_path)))

    # 0.80 to 0.84 in equal numbers: medians 0.82 and 0.72, and no draw in between
    sentence = (
        " Of structures outside a draw R² is 0.82, but 0.72 of those without a near duplicate"
    )
    assert sentence in said(r2, r2 - 0.1)
    # as far apart, but half of the draws are within 0.13 of their median
    wide = 0.12 * (some["study/scores"]["draw"] % 5) - 0.24
    assert "near duplicate" not in said(r2 + wide, r2 - 0.1 + wide)
    # tight, but too little to be worth a word
    assert "near duplicate" not in said(0.820, 0.805)
    assert "near duplicate" not in said(r2, math.nan)
    assert "near duplicate" not in said(r2, r2 - 0.1, n_test=2)


def near_duplicate_section(tables, facts, folder):
    """The body of the section, and its text."""
    body = near_duplicates.section(Study(tables, facts, folder)).body
    return body, re.sub(r"\s+", " ", Page(body).text)


def test_groups_of_near_duplicates_are_listed(tables, facts, tmp_path):
    body, text = near_duplicate_section(tables, facts, tmp_path)
    assert "The 47 target structures have 44 frameworks; 2 frameworks are there more than" in text
    assert "more than once, in 5 structures" in text
    assert "<details><summary>Which structures share a framework</summary>" in body
    assert rows_of(body, "Framework: formula")[1:] == [
        ["C8 Zn", "3", "core002, core017 and core030"],
        ["C8 Zn", "2", "core004 and core009"],
    ]


@pytest.mark.slow("draws a whole page")
def test_scores_stand_beside_those_without_near_duplicates(tables, whole):
    scores = tables["study/scores"]
    rows = scores[(scores["learner"] == "xgboost") & (scores["size"] == 80)]
    direct = rows[rows["kind"] == "dl"]
    medians = [f"{direct[c].median():.2f}" for c in ("r2_rest", "r2_rest_new")]
    key = ["xgboost", "80", "direct"]
    (found,) = (r for r in cells(whole[0], "Median R² (first to third quartile) over draws on all")
                if r[:3] == key)  # fmt: skip
    assert [cell.split(" (")[0] for cell in found[4:6]] == medians
    # of 20 draws, which leave 30 to 49 new structures: 39.5
    assert found[6] == "39"
    heads, *rows = cells(whole[0], "Medians over draws, R²")
    at = heads.index("R² of these new")
    assert heads[at - 1] == "R² outside"
    assert [r[at - 1 : at + 1] for r in rows if r[:3] == key] == [medians]


def test_where_near_duplicates_are_not_known_the_page_says_why(tables, root, tmp_path):
    told = {"package": None, "tables": {"energy": {"files": "e.csv", "columns": {"h": ["a"]}}}}
    facts = complete_facts(root, structures={"source": told, "target": told})
    some = {k: t for k, t in tables.items() if k != "target/groups"}
    text = near_duplicate_section(some, facts, tmp_path)[1]
    assert "Near duplicates not shown: the target is known by tables alone" in text


def test_near_duplicates_that_could_not_be_compared_are_said(tables, facts, tmp_path):
    table = tables["target/groups"]
    notes = table["name"].map({"core005": "not compared: 3000 framework atoms"}).fillna("")
    some = tables | {"target/groups": table.assign(note=notes, group=range(len(table)))}
    text = near_duplicate_section(some, facts, tmp_path)[1]
    assert "1 structure could not be compared in full; the first reason: not compared: 3000" in text
    assert "none is there twice" in text and "Which structures share" not in text


@pytest.mark.slow("draws a whole page")
def test_held_out_numbers_are_those_of_the_table(tables, whole):
    table = tables["study/held_out"]
    off = table["predicted"] - table["value"]
    r2 = 1 - np.sum(off**2) / np.sum((table["value"] - table["value"].mean()) ** 2)
    rmse = math.sqrt(np.mean(off**2))
    text = whole[1].text
    assert f"Root mean square error {rmse:.2f} decades of D, R² {r2:.2f};" in text
    # a factor of two is 0.301 decades
    assert f"{100 * np.mean(np.abs(off) < 0.30103):.0f} % within a factor of two;" in text
    assert f"Farthest off: {table['name'][off.abs().idxmax()]} (" in text


@pytest.mark.slow("draws a whole page")
def test_the_channel_of_one_structure_is_described(whole):
    # from -2300 to -1700 K is 600 K, 2.0 kT at 298 K; one kT above its top is -1402 K
    assert "core001, the target structure whose" in whole[1].text
    assert "may be at up to -1402 K" in whole[1].text.replace("−", "-")
    assert "on which it climbs 2.0 kT at 298 K" in whole[1].text


def test_all_structures_have_a_row(tables, facts, tmp_path):
    study = Study(tables, facts, tmp_path)
    table = all_structures(study).table.set_index("name")
    assert len(table) == 60 + 50
    row = table.loc["core005"]
    diffusion = tables["target/diffusion"].set_index("name").loc["core005"]
    assert row["d_m2_s"] == diffusion["d_m2_s"]
    assert row["d_error"] == pytest.approx(100 * diffusion["d_err_m2_s"] / diffusion["d_m2_s"])
    uptake = tables["target/uptake"].query("name == 'core005' and pressure_bar == 65")
    assert row["uptake"] == uptake["uptake_cm3stp_cm3"].item()
    assert "no_metal: Si O2" in row["flags"]
    assert table.loc["core049", "flags"].startswith("failed in structures: two atoms 0.31 Å apart")
    held_out = tables["study/held_out"].set_index("name")
    name = held_out.index[0]
    assert table.loc[name, "predicted"] == pytest.approx(
        1e-8 * 10 ** held_out.loc[name, "predicted"]
    )
    slow = tables["target/diffusion"].query("status == 'ok' and diffusive == False")["name"]
    assert all("not diffusive" in table.loc[n, "flags"] for n in slow)
    assert set(table.index[table["flags"].str.contains("not diffusive")]) == set(slow)
    assert all_structures(Study({}, facts, tmp_path)) is None


def without(table, state):
    """A table that is absent, empty, or as a stage leaves it when every structure fails."""
    if state == "absent":
        return None
    if state == "empty":
        return table.iloc[:0]
    names = table["name"].unique()[:3] if "name" in table else ["a"]
    return pd.DataFrame({"name": names, "content_hash": ""}).assign(
        status="failed", reason="took more than 1 s"
    )


# Tables that can be missing together without hiding what is said of each other.
TOGETHER = (
    (
        "source/geometry",
        "source/energy",
        "source/percolation",
        "source/uptake",
        "target/structures",
        "target/crosscheck_uptake",
        "study/pretraining",
        "study/scores",
        "study/cost",
    ),
    (
        "source/structures",
        "target/geometry",
        "target/energy",
        "target/percolation",
        "target/uptake",
        "target/crosscheck_diffusion",
        "study/importance",
    ),
    ("target/diffusion", "target/groups", "study/held_out", "study/landscape"),
)


@pytest.mark.slow("draws pages")
@pytest.mark.parametrize("keys", TOGETHER, ids=["first", "second", "third"])
@pytest.mark.parametrize("state", ["absent", "empty", "failed"])
def test_missing_tables_are_explained(tables, facts, tmp_path, quick, state, keys):
    some = tables | {key: without(tables[key], state) for key in keys}
    some = {key: table for key, table in some.items() if table is not None}
    text = built(some, facts, tmp_path).text
    for key in keys:
        if key == "source/structures":  # the later stages hold the same names
            continue
        if key == "study/cost":
            assert "Cost not shown: no CPU times were given" in text
        elif state == "absent":
            assert f"there is no table {key}" in text, key
        elif state == "empty":
            reason = "no structure was fit for it" if "crosscheck" in key else f"{key} is empty"
            assert reason in text, key
        elif key in ("study/scores", "study/importance"):
            assert "is a number" in text, key
        else:
            assert "took more than 1 s" in text and f"of {key} failed" in text, key


def test_every_table_is_tried_missing(tables):
    assert sorted(key for keys in TOGETHER for key in keys) == sorted(tables)


@pytest.mark.parametrize("state", ["no tables", "empty tables", "no facts"])
def test_nothing_at_all(tables, facts, tmp_path, state):
    given = {k: t.iloc[:0] for k, t in tables.items()} if state == "empty tables" else {}
    read = built(given, {} if state == "no facts" else facts, tmp_path)
    assert read.text.count("not shown") >= 8
    assert list((tmp_path / "figures").iterdir()) == []


@pytest.mark.slow("draws pages")
def test_reasons_follow_the_configuration(root, tables, tmp_path, quick):
    some = {k: t for k, t in tables.items() if "crosscheck" not in k and k != "target/uptake"}
    structures = complete_facts(root)["config"]["structures"]
    structures["target"]["stages"].remove("uptake")
    facts = complete_facts(root, uptake={"crosscheck": 0}, structures=structures)
    text = built(some, facts, tmp_path).text
    assert "the cross-check is switched off (uptake.crosscheck)" in text
    assert "target does not pass through uptake (structures.target.stages)" in text


@pytest.mark.slow("draws pages")
def test_scores_that_are_no_numbers(tables, facts, tmp_path, quick):
    some = dict(tables)
    some["study/scores"] = tables["study/scores"].assign(r2=math.nan)
    text = built(some, facts, tmp_path).text
    assert "none of the 480 scores is a number" in text
    assert "This study is too small to judge: no score is a number" in text
    some["study/scores"] = tables["study/scores"].copy()
    some["study/scores"].loc[:4, "r2"] = [math.nan, math.inf, -math.inf, math.nan, math.nan]
    assert "5 scores without a finite R² left out" in built(some, facts, tmp_path).text


@pytest.mark.slow("draws pages")
@pytest.mark.parametrize("kind", ["dl", "tl"])
def test_one_kind_alone(tables, facts, tmp_path, quick, kind):
    scores = tables["study/scores"]
    some = tables | {"study/scores": scores[scores["kind"] == kind]}
    text = built(some, facts, tmp_path).text
    word = {"dl": "Transfer", "tl": "Direct learning"}[kind]
    assert f"{word} not shown: the scores table holds no finite score of it" in text


@pytest.mark.slow("draws pages")
def test_tiny_study(facts, tmp_path):
    """Two structures, one pressure, one learner, one size, one draw, dreadful scores."""
    rng = np.random.default_rng(3)
    tables = {f"source/{k}": t for k, t in simulated_set(rng, "s", 2, 0).items()}
    tables |= {f"target/{k}": t for k, t in simulated_set(rng, "t", 2, 1).items()}
    tables |= learnt(rng, sizes=(10,), draws=1)
    for key in ("source/uptake", "target/uptake"):
        tables[key] = tables[key][tables[key]["pressure_bar"].isin([1.0, math.nan])]
    scores = tables["study/scores"]
    keep = (scores.learner == "mlp") & (scores.source_pressure_bar.fillna(1.0) == 1.0)
    tables["study/scores"] = scores[keep].assign(r2=[-25.0, -3.0], rmse=9.0, mae=9.0)
    importance = tables["study/importance"]
    tables["study/importance"] = importance[importance.source_pressure_bar.fillna(1.0) == 1.0]
    tables["study/pretraining"] = tables["study/pretraining"].iloc[:1].assign(r2=-0.3)
    text = built(tables, facts, tmp_path).text
    assert "With only 1 draw a size" in text
    assert "wins 1 of 1 draws" in text
    assert "−3.00 (−3.00 to −3.00)" in text


@pytest.mark.slow("draws pages")
def test_large_sets_thin_out_and_rasterise(facts, tmp_path):
    rng = np.random.default_rng(5)
    target = simulated_set(rng, "t", 900, 0)
    tables = {f"target/{k}": t for k, t in target.items()}
    read = built(tables, facts, tmp_path)
    assert "Of target 300 are drawn" in read.text
    for name in ("isotherms", "diffusivities", "uptake_against_diffusivity"):
        assert (tmp_path / "figures" / f"{name}.svg").stat().st_size < 1_000_000


@pytest.mark.slow("draws pages")
def test_names_are_escaped(tables, facts, tmp_path, monkeypatch):
    # the figures whose legends hold names of structures
    render_only(monkeypatch, "crosscheck_uptake", "crosscheck_diffusion")
    some = copy.deepcopy(tables)
    for key in ("target/structures", "target/geometry", "target/uptake"):
        some[key]["name"] = some[key]["name"].replace("core049", EVIL)
    some["target/crosscheck_uptake"]["name"] = "_$x^2" + EVIL
    some["target/crosscheck_diffusion"]["name"] = r"$\frac" + EVIL
    some["target/structures"]["reason"] = some["target/structures"]["reason"].replace(
        "two atoms 0.31 Å apart", "<script>alert(1)</script> {name}"
    )
    read = built(some, facts | {"study": "<i>"}, tmp_path)
    assert EVIL in read.text and "<script>alert(1)</script> {name}" in read.text
    assert "b" in read.tags and read.tags.count("script") == 4 and "i" not in read.tags
    assert "<script>alert" not in (tmp_path / "index.html").read_text()


@pytest.mark.slow("draws pages")
def test_templates_escape_what_they_print(tables, facts, tmp_path, quick):
    assert '">&lt;b&gt;x &amp; &#34;y&#34; not shown' in render("missing", what=EVIL, why="")
    evil = "<script>alert(1)</script>"
    some = copy.deepcopy(tables)
    for key in [k for k in some if k.startswith("target/")]:
        some[key]["name"] = some[key]["name"].replace("core049", evil)
    for key in ("study/scores", "study/pretraining"):
        some[key]["learner"] = some[key]["learner"].replace("mlp", evil)
    read = built(some, facts | {"engines": {evil: {evil: evil}}}, tmp_path)
    assert f"core048, {evil}" in read.text or f"{evil}, core0" in read.text
    assert f"Transfer against direct learning, {evil}, size 80" in read.text
    text = (tmp_path / "index.html").read_text()
    assert read.tags.count("script") == 4 and "<script>alert" not in text


def test_a_template_is_given_every_name_that_it_uses():
    with pytest.raises(jinja2.UndefinedError):
        render("missing", what="x")


def test_every_template_is_installed(root):
    package = root / "workflow" / "poreflux"
    files = {p.relative_to(package).as_posix() for p in package.glob("report/templates/**/*.*")}
    assert {
        "report/templates/style.css",
        "report/templates/page.js",
        "report/templates/synthesis/verdict.html.j2",
    } <= files
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    listed = {f for p in patterns["package-data"]["poreflux"] for f in package.glob(p)}
    assert {package / name for name in files} <= listed


@pytest.mark.slow("draws pages")
def test_stale_figures_go(tables, facts, tmp_path, quick):
    built(tables, facts, tmp_path)
    (tmp_path / "figures" / "notes.txt").write_text("mine")
    some = {k: t for k, t in tables.items() if not k.startswith("study/")}
    report.build(some, facts, tmp_path)
    names = {p.name for p in (tmp_path / "figures").iterdir()}
    assert "notes.txt" in names and "descriptors.png" in names
    assert not any(name.startswith(("scores", "wins", "importance")) for name in names)


@pytest.mark.slow("draws pages")
def test_importance_per_learner(tables, facts, tmp_path, quick):
    both = [tables["study/importance"].assign(learner=x) for x in ("mlp", "xgboost")]
    read = built(tables | {"study/importance": pd.concat(both)}, facts, tmp_path)
    assert "figure-importance_mlp" in read.ids and "figure-importance_xgboost" in read.ids


@pytest.mark.parametrize("name", [*algorithms(), *(f"gp+{features}" for features in FEATURE_SETS)])
def test_every_learner_has_words(name):
    assert learner_in_words(name).endswith(f" ({name})")


@pytest.mark.slow("draws pages")
def test_the_advisor_rests_on_the_labels_of_the_draw(tables, facts, tmp_path, quick):
    # the higher the pressure the better both LogME and the gain, for either learner
    text = built(tables, facts, tmp_path).text
    for learner in ("mlp", "xgboost"):
        part = text[text.index(f"Source advisor, {learner}") :]
        assert "LogME advises the uptake at 100 bar as source" in part
        assert "explains 50 % of the variance of the labels" in part
        assert re.search(
            r"the rank correlation with the gain over 5 sources is (\S+) of LogME", part
        )


@pytest.mark.slow("draws pages")
def test_no_source_is_advised_where_no_line_explains_a_label(tables, facts, tmp_path, quick):
    scores = tables["study/scores"]
    text = built(
        tables | {"study/scores": scores.assign(line_left_out_r2=-0.01)}, facts, tmp_path
    ).text
    assert "LogME advises no source" in text and "as source" not in text


@pytest.mark.slow("draws pages")
def test_no_source_is_advised_to_a_line_in_the_mobility(tables, facts, tmp_path, quick):
    named = {
        key: tables[key].assign(learner="gp-line+mobility")
        for key in ("study/scores", "study/importance")
    }
    text = built(tables | named, facts, tmp_path).text
    assert "the advice is no source" in text and "puts the uptake at 100 bar first" in text
    other = facts | {"target_label": "modulus"}
    text = built(tables | named, other, tmp_path).text
    assert "the advice is no source" not in text and "LogME advises" in text


# ---- the numbers alone


def test_advice_stands_beside_the_gain_of_every_source(tables):
    scores = with_source(tables["study/scores"])
    summary = score_summary(scores)
    near = importance_distances(with_source(tables["study/importance"]))[1]
    table, size = advice_table(summary, near.iloc[1:], "mlp")
    assert size == 80 and table["source"].tolist() == PRESSURES
    its = summary.query("learner == 'mlp' and size == 80 and kind == 'tl'").set_index("source")
    assert table["gain"].tolist() == its.loc[PRESSURES, "gain"].tolist()
    assert table["logme"].tolist() == pytest.approx([-1.4, -1.3, -1.2, -1.1, -1.0])
    # of a source without importances the rest is still known
    assert table["distance"].isna().tolist() == [True, False, False, False, False]


@pytest.mark.parametrize("most, judged", [(0.001, False), (0.1, True)])
def test_gains_that_nobody_would_notice_judge_no_advice(most, judged):
    gain = np.linspace(0.0, most, 6)
    table = pd.DataFrame({"source": np.arange(1.0, 7.0), "gain": gain, "logme": gain})
    assert (source_advice._told(table, [source_advice.LOGME]) is not None) is judged


def importances(*rows):
    columns = ["kind", "source_pressure_bar", "feature", "pfi_normalised"]
    return with_source(pd.DataFrame(rows, columns=columns))


def test_distance_by_hand():
    table = importances(
        ("dl", math.nan, "a", 0.6),
        ("dl", math.nan, "b", 0.4),
        ("source", 1.0, "a", 0.3),
        ("source", 1.0, "b", 0.8),
        ("source", 2.0, "a", 0.6),
        ("source", 2.0, "b", 0.3),
        ("tl", 2.0, "a", 0.0),  # fine-tuned models do not count where there are sources
        ("tl", 2.0, "b", 1.0),
        ("source", 3.0, "a", 0.0),  # rests on nothing
        ("source", 3.0, "b", 0.0),
    )
    top, distances = importance_distances(table)
    assert list(top.index) == ["a", "b"]
    found = distances.set_index("source")
    assert found["distance"].to_dict() == pytest.approx({1.0: 0.5, 2.0: 0.1})  # 3-4-5
    assert found["rank"].to_dict() == {1.0: 2, 2.0: 1}


def test_distance_looks_at_the_leading_features_only():
    features = [f"f{k:02d}" for k in range(12)]
    weights = np.arange(12, 0, -1) / 78
    rows = [("dl", math.nan, f, w) for f, w in zip(features, weights, strict=True)]
    # the source differs in the two last features alone
    rows += [("source", 5.0, f, w) for f, w in zip(features[:10], weights, strict=False)]
    rows += [("source", 5.0, "f10", 0.9), ("source", 5.0, "f11", 0.0)]
    assert importance_distances(importances(*rows))[1]["distance"].to_list() == [0.0]


def test_distances_are_those_of_the_importance_stage(tables):
    from poreflux.learning.importance import distances

    expected = distances(tables["study/importance"])
    found = importance_distances(with_source(tables["study/importance"]))[1]
    assert found["distance"].to_list() == pytest.approx(expected["distance"].to_list())
    assert found["rank"].to_list() == expected["rank"].to_list()


def test_what_the_report_cannot_import_it_says_alike():
    """What stands in modules that need torch, XGBoost, gemmi or numba, which the report lacks."""
    from poreflux.fields.forcefield import guest_parameters
    from poreflux.learning.importance import TOP
    from poreflux.learning.predict import HALF_WIDTH_90
    from poreflux.learning.splits import FRACTIONS
    from poreflux.report import scores
    from poreflux.report.sections import descriptors, held_out, importance

    assert importance.TOP_FEATURES == TOP
    assert scores.TEST_SHARE == FRACTIONS[2]
    assert held_out.HALF_WIDTH_90 == HALF_WIDTH_90
    assert descriptors.METHANE_DIAMETER_A == guest_parameters("CH4").sigma_A


@pytest.mark.slow("draws pages")
@pytest.mark.parametrize("kind", ["dl", "source"])
def test_importances_that_are_all_zero(tables, facts, tmp_path, quick, kind):
    table = tables["study/importance"]
    zero = table.assign(pfi_normalised=table["pfi_normalised"].where(table["kind"] != kind, 0.0))
    # tables from before the advisor knew the line and LogME
    scores = tables["study/scores"].drop(columns=["line_left_out_r2", "logme"])
    some = {"study/importance": zero, "study/scores": scores}
    text = built(tables | some, facts, tmp_path).text
    assert {"dl": "Feature importance", "source": "The source advisor"}[kind] + " not shown" in text


@pytest.mark.slow("draws pages")
def test_published_medians_stand_beside_ours_at_their_sizes(tables, facts, tmp_path, quick):
    scores = tables["study/scores"]
    assert "Beside the published study" not in built(tables, facts, tmp_path).text
    larger = scores.assign(size=scores["size"].replace({80: 300}))
    text = built(tables | {"study/scores": larger}, facts, tmp_path).text
    part = text[text.index("Beside the published study") :]
    median = larger.query("learner == 'mlp' and size == 300 and kind == 'dl'")["r2"].median()
    assert "0.406" in part and "0.507" in part and f"{median:.3f}" in part


@pytest.mark.slow("draws pages")
def test_a_source_that_is_no_uptake_goes_by_its_name(tables, facts, tmp_path, quick):
    named = dict(tables)
    for key in LEARNT:
        table = tables[key]
        first = table["source_pressure_bar"] == table["source_pressure_bar"].min()
        named[key] = table.assign(
            source_label=table["source_label"].where(~first, "henry"),
            source_pressure_bar=table["source_pressure_bar"].where(~first),
        )
    found = with_source(named["study/scores"])
    assert found.loc[found["kind"] == "dl", "source"].isna().all()
    assert set(found.loc[found["kind"] == "tl", "source"]) >= {"henry", "uptake_100bar"}
    text = built(named, facts, tmp_path).text
    assert "the Henry coefficient" in text and "nan bar" not in text
    # a source of several labels has no importance of its own, and is judged by LogME
    whole = named["study/importance"]
    named["study/importance"] = whole[whole["source_label"] != "henry"]
    assert "the rank correlation with the gain over 5 sources" in built(named, facts, tmp_path).text


def relabelled(table, names, target):
    """A table of the study with other labels: names by pressure, in bar, and the target's."""
    label = table["source_pressure_bar"].map(names)
    changed = table.assign(
        source_label=label.where(label.notna(), table["source_label"]),
        source_pressure_bar=table["source_pressure_bar"].where(label.isna()),
    )
    return changed.assign(label=target) if "size" in table else changed


# What has a source.
LEARNT = ("study/scores", "study/pretraining", "study/importance")


def with_isotherm(tables):
    """The tables with the lowest pressure's models as if they had learnt all uptakes together."""
    study = {k: tables[k] for k in LEARNT}
    return tables | {
        k: relabelled(t, {PRESSURES[0]: "isotherm"}, "diffusivity") for k, t in study.items()
    }


def cells(folder, caption):
    """The rows of the table of the page whose caption begins so: texts."""
    return rows_of(page_of(folder), caption)


def rows_of(text, caption):
    """The rows of the table whose caption begins so: texts."""
    table = text[text.index(f"<caption>{caption}") :]
    rows = re.findall(r"<tr>(.*?)</tr>", table[: table.index("</table>")], flags=re.DOTALL)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in rows]


@pytest.mark.slow("draws a whole page")
def test_the_page_speaks_of_the_diffusivity_learnt_from_uptakes(whole):
    folder, read = whole
    for words in (
        "From crystal structures to the diffusion of methane,",
        "best median R² of log D (",
        "Best model of the diffusivity: ",
        "The diffusivity (log₁₀ of D in 10⁻⁸ m² s⁻¹) is learnt",
        "a model pretrained on uptakes of the source",
        "RMSE and MAE in decades of D.",
        "slow: those of them with D below",
        "Scores on 30 test structures; errors in cm³(STP) cm⁻³",
        "In the published study transfer from isotherms saves 200 diffusivities",
    ):
        assert words in read.text, words
    assert "of these slow" in cells(folder, "Medians over draws, R²")[0]


@pytest.mark.slow("draws pages")
@pytest.mark.parametrize("transform", ["none", "log10"])
def test_labels_go_by_their_names_and_units(root, tables, tmp_path, quick, transform):
    """A target label of the user's; henry and a label of the user's among the sources."""
    names = {PRESSURES[0]: "henry", PRESSURES[1]: "gap"}
    study = {k: tables[k] for k in LEARNT}
    some = tables | {k: relabelled(t, names, "modulus") for k, t in study.items()}
    told = {"file": "moduli.csv", "column": "K", "transform": transform, "unit": "GPa"}
    facts = complete_facts(
        root,
        labels={"modulus": told, "gap": {"file": "gaps.csv", "column": "gap", "unit": "eV"}},
        learning={"target_label": "modulus", "source_labels": ["henry", "gap", "uptake"]},
    )
    text = built(some, facts, tmp_path).text
    logarithm = transform == "log10"
    for words in (
        "From crystal structures to the label modulus,",
        f"best median R² of {'log ' if logarithm else ''}modulus (",
        "Best model of the label modulus: ",
        "The label modulus (GPa) is learnt",
        "pretrained on uptakes, the label gap and the Henry coefficient of the source",
        f"RMSE and MAE in {'decades of modulus' if logarithm else 'GPa'}.",
        "Scores on 30 test structures",
    ):
        assert words in text, words
    learning = text[text.index("R² is that of structures") : text.index("The study's seed")]
    assert "decades of D" not in text and "errors in cm³" not in text
    assert "log D" not in learning and "D below" not in learning
    assert "saves in the published study" not in text
    assert "of these slow" not in cells(tmp_path, "Medians over draws, R²")[0]
    head, *rows = cells(tmp_path, "Scores on 30")
    assert head[:2] == ["Source", "Errors in"]
    assert [row[:2] for row in rows] == [
        *([f"uptake at {p:g} bar", "cm³(STP) cm⁻³"] for p in PRESSURES[2:]),
        ["label gap", "eV"],
        ["Henry coefficient", "decades of K"],
    ]


@pytest.mark.slow("draws pages")
def test_a_label_without_a_unit_that_the_scores_do_not_name(root, tables, tmp_path, quick):
    # as old tables are; the configuration names it
    facts = complete_facts(
        root,
        labels={"modulus": {"file": "moduli.csv", "column": "K"}},
        learning={"target_label": "modulus"},
    )
    text = built(tables, facts, tmp_path).text
    assert "The label modulus is learnt" in text
    assert "RMSE and MAE in the unit of the label." in text


def test_curves_are_of_the_label():
    table = pd.DataFrame({"size": [40], "q1": [0.1], "median": [0.2], "q3": [0.3]})
    drawn = draw_learning_curves({"mlp": {"direct": table}}, "log K")
    assert drawn.axes[0].get_ylabel() == "R² of log K"


@pytest.mark.slow("draws pages")
def test_scores_are_on_the_test_share(tables, facts, tmp_path, quick):
    pretraining = tables["study/pretraining"]
    old = tables | {"study/pretraining": pretraining.drop(columns="n_test")}
    text = built(old, facts, tmp_path).text
    assert "Scores; errors in cm³(STP) cm⁻³" in text and "150 test structures" not in text


@pytest.mark.slow("draws pages")
def test_named_sources_stand_by_pressure_too(tables, facts, tmp_path, quick):
    some = with_isotherm(tables)
    built(some, facts, tmp_path)
    expected = [*(f"uptake at {p} bar" for p in (1, 10, 65, 100)), "isotherms"]
    assert [row[0] for row in cells(tmp_path, "Scores on 30")[1:]] == expected
    shown = [row[3] for row in cells(tmp_path, "Medians over draws, R²")[1:]]
    assert shown == 4 * ["–", *expected]
    _, distances = importance_distances(with_source(some["study/importance"]))
    keys = [*(f"uptake_{p}bar" for p in (1, 10, 65, 100)), "isotherm"]
    assert distances["source"].tolist() == keys
    advice, size = advice_table(None, distances, "mlp")
    assert size == 0
    axis = draw_advice(advice).axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == expected


def test_an_axis_keeps_the_order_where_the_first_learner_lacks_a_source(tables):
    table = with_source(with_isotherm(tables)["study/pretraining"])
    table = table[(table["learner"] != "mlp") | (table["source"] != "uptake_10bar")]
    axis = draw_pretraining(table.sort_values("learner", kind="stable")).axes[0]
    found = [label.get_text() for label in axis.get_xticklabels()]
    expected = [*(f"uptake at {p} bar" for p in (1, 10, 65, 100)), "isotherms"]
    assert found == expected
    scores = score_summary(with_source(with_isotherm(tables)["study/scores"]))
    rows = scores[scores["learner"] == "mlp"]
    rows = rows[(rows["size"] != 40) | (rows["source"] != "uptake_10bar")]
    found = [label.get_text() for label in draw_scores(rows, "log D").axes[-1].get_yticklabels()]
    assert found == ["direct", *expected]


@pytest.mark.slow("draws pages")
def test_wins_stand_beside_the_published_ones_of_the_same_pressure(tables, facts, tmp_path, quick):
    scores = tables["study/scores"]
    scores = scores.assign(size=scores["size"].replace({80: 300}))
    for some, pressures in (
        (tables | {"study/scores": scores}, [0.25, 100]),
        (with_isotherm(tables | {"study/scores": scores}), [100]),
    ):
        text = built(some, facts, tmp_path).text
        sentence = r"From ([\d.]+) bar transfer won \d+ of 50 draws of 300 there, (\d+) of 20 here"
        found = re.findall(sentence, text)
        rows = scores[(scores["learner"] == "mlp") & (scores["size"] == 300)]
        direct = rows[rows["kind"] == "dl"].set_index("draw")["r2"]
        for (pressure, won), expected in zip(found, pressures, strict=True):
            assert float(pressure) == expected
            at = rows[rows["source_pressure_bar"] == expected].set_index("draw")["r2"]
            assert int(won) == (at > direct).sum()


@pytest.mark.slow("draws pages")
def test_names_of_sources_agree_between_tables(tables, facts, tmp_path, quick):
    """A named source none of whose scores is finite leaves names in the other tables."""
    some = with_isotherm(tables)
    scores = some["study/scores"]
    lost = scores["source_label"] == "isotherm"
    some["study/scores"] = scores.assign(r2=scores["r2"].where(~lost))
    text = built(some, facts, tmp_path).text
    assert "the rank correlation with the gain over 4 sources" in text


def from_files(root, files):
    """Facts of a study some of whose tables are read: files by ``set/stage``."""
    structures = complete_facts(root)["config"]["structures"]
    for key, names in files.items():
        owner, _, stage = key.partition("/")
        columns = {
            "uptake": {"uptake_cm3stp_cm3": "u<pressure>"},
            "diffusion": {"d_m2_s": "d"},
            "geometry": {column: column for column in GEOMETRY_COLUMNS},
        }[stage]
        told = {"files": [f"${{DATA:-../data}}/{n}" for n in names], "columns": columns}
        structures[owner].setdefault("tables", {})[stage] = told
    return complete_facts(root, structures=structures)


@pytest.mark.slow("draws pages")
def test_tables_from_files_are_said_to_be_read(root, tables, tmp_path, quick):
    some = {k: t for k, t in tables.items() if "crosscheck" not in k and "landscape" not in k}
    files = {
        "source/uptake": ["a.csv.gz", "b.csv"],
        "target/uptake": ["c.csv"],
        "target/diffusion": ["d.csv"],
        "target/geometry": ["g.csv"],
    }
    text = built(some, from_files(root, files), tmp_path).text
    assert "The table of source is read from a.csv.gz and b.csv." in text
    assert "The table of target is read from c.csv." in text
    assert "Self-diffusivities read from d.csv." in text
    assert "comparison with LAMMPS not shown: target/diffusion is read from d.csv." in text
    for words in ("Simulated by", "molecular dynamics", "transition-state theory", "298 K"):
        assert words not in text, words
    assert "geometry of target: g.csv" in text
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    engines = text[text.index("Engines</h3>") : text.index("Cost</h3>")]
    # the geometry of the source is still computed
    assert "<td>geometry</td>" in engines
    assert "<td>uptake</td>" not in engines and "<td>diffusion</td>" not in engines


@pytest.mark.slow("draws pages")
def test_one_set_read_and_one_simulated(root, tables, tmp_path, quick):
    facts = from_files(root, {"source/uptake": ["a.csv"]})
    text = built(tables, facts, tmp_path).text
    assert "Simulated by grand canonical Monte Carlo (grid engine, 298 K)" in text
    assert "The table of source is read from a.csv." in text
    some = {k: t for k, t in tables.items() if k != "target/uptake"}
    text = built(some, facts, tmp_path).text
    assert "Read from a.csv." in text and "Simulated by" not in text


def test_a_set_of_tables_alone_computes_nothing(root, tmp_path):
    told = {"package": None, "tables": {"energy": {"files": "e.csv", "columns": {"h": ["a"]}}}}
    facts = complete_facts(root, structures={"source": told, "target": told})
    study = Study({}, facts, tmp_path)
    assert not any(study.computes(name, "uptake") for name in ("source", "target"))
    assert Study({}, complete_facts(root), tmp_path).computes("target", "uptake")
    assert not Study({}, complete_facts(root), tmp_path).computes("source", "diffusion")


@pytest.mark.slow("draws pages")
def test_the_page_speaks_of_the_sets_that_it_is_given(root, tables, tmp_path, quick):
    structures = complete_facts(root)["config"]["structures"]
    facts = complete_facts(root, structures=structures | {"extra": structures["target"]})
    said, _, _ = built(tables, facts, tmp_path).text.partition("The complete configuration")
    assert "extra" not in said
    more = tables | {"extra/geometry": tables["target/geometry"]}
    assert "47 of 50 extra structures (3 failed)" in built(more, facts, tmp_path).text


def test_what_a_file_does_not_hold_has_not_failed():
    table = pd.DataFrame({"name": ["a", "b", "c"], "status": ["ok", "ok", "failed"]})
    some = {"x/structures": table.assign(status="ok"), "x/geometry": table}
    some["x/uptake"] = table.iloc[:1]
    assert complete_structures(some, "x") == (1, 1, 3)


def test_a_tie_is_no_win():
    rows = [("dl", math.nan, 0, 0.5), ("dl", math.nan, 1, 0.5), ("dl", math.nan, 2, 0.9)]
    rows += [("tl", 1.0, 0, 0.5), ("tl", 1.0, 1, 0.6), ("tl", 1.0, 3, 0.9)]
    table = pd.DataFrame(rows, columns=["kind", "source_pressure_bar", "draw", "r2"])
    table = with_source(table.assign(learner="mlp", size=10, rmse=1.0, mae=1.0))
    row = score_summary(table).set_index("kind").loc["tl"]
    # draw 2 has no transfer and draw 3 no direct score: neither is a pair
    assert (row["wins"], row["pairs"], row["n"]) == (1, 2, 3)
    assert row["gain"] == pytest.approx(0.05)


def test_failures_count_in_the_first_stage_only():
    first = pd.DataFrame(
        {"name": ["a", "b"], "status": ["failed", "ok"], "reason": ["atoms 0.1 apart", ""]}
    )
    second = pd.DataFrame(
        {"name": ["a", "b"], "status": "failed", "reason": ["atoms 0.1 apart", "took 9 s"]}
    )
    found = failures({"x/structures": first, "x/geometry": second}, ["x"])
    assert found[["stage", "reason", "structures"]].to_numpy().tolist() == [
        ["structures", "atoms 0.1 apart", 1],
        ["geometry", "took 9 s", 1],
    ]


def test_rank_correlation():
    assert rank_correlation([1, 2, 3, 4], [1, 4, 9, 16]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert math.isnan(rank_correlation([1, 2], [3, 4]))
    assert math.isnan(rank_correlation([1, 1, 1], [3, 4, 5]))


def test_feature_labels(tmp_path):
    config = {"energy": {"bins": 50, "range_K": [-4000.0, 5000.0]}}
    study = Study({}, {"config": config}, tmp_path)
    assert study.feature_label("h00") == "energy −4000 to −3820 K"
    assert study.feature_label("h49") == "energy 4820 to 5000 K"
    assert study.feature_label("pld_A") == "pore-limiting diameter"
    assert study.feature_label("other") == "other"


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (numbers.significant(9.999e-9), "1.00 × 10⁻⁸"),
        (numbers.significant(-0.0012), "−0.00120"),
        (numbers.significant(99999.6), "1.00 × 10⁵"),
        (numbers.with_error(1.234e-8, 5e-10), "(1.23 ± 0.05) × 10⁻⁸"),
        (numbers.with_error(0.0, 0.1), "0"),
        (numbers.with_error(2.0, math.nan), "2.00"),
        (numbers.decimal(-0.001), "0.00"),
        (numbers.decimal(None), "–"),
        (numbers.percent(math.nan), "–"),
        (numbers.duration(5400.0), "1.5 h"),
    ],
)
def test_numbers_as_text(made, text):
    assert made == text


@pytest.mark.slow("draws pages")
def test_time_of_a_gpu_stands_beside_that_of_the_cpu(tables, facts, tmp_path, quick):
    without_gpu = built(tables, facts, tmp_path / "cpu").text
    assert "of a GPU" not in without_gpu
    cost = tables["study/cost"].assign(gpu_s=[0.0, 60.0, 0.0])
    text = built(tables | {"study/cost": cost}, facts, tmp_path / "gpu").text
    # 580 s of CPU and a minute of a GPU over 58 isotherms, 1532 s of CPU in all
    assert "an isotherm 10 s of CPU and 1 s of a GPU" in text
    assert "of the study 25.5 min of CPU and 1.0 min of a GPU" in text
