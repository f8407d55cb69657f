"""The report as a reader sees it: opened in a browser, on a wide screen and on a telephone."""

import re
import shutil
import time

import numpy as np
import pandas as pd
import pytest
from test_report import complete_facts, complete_tables, render_only
from test_report_synthesis import facts as synthesis_facts
from test_report_synthesis import one_case, together

from poreflux import report
from poreflux.data.labels import DIFFUSIVITY
from poreflux.report import synthesis
from poreflux.report.figures import interactive

WIDE, TELEPHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
EVIL = '<img src=x onerror="document.title=1">'
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-unsafe-swiftshader",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield started
        started.close()


@pytest.fixture(scope="module")
def page_path(root, tmp_path_factory):
    """A page whose figures are drawn as those of a real study; one structure has a wicked name."""
    tables = complete_tables()
    for key in ("structures", "geometry", "energy", "percolation", "uptake", "diffusion"):
        table = tables[f"target/{key}"]
        tables[f"target/{key}"] = table.assign(name=table["name"].replace("core000", EVIL))
    tables["study/held_out"]["name"] = tables["study/held_out"]["name"].replace("core000", EVIL)
    facts = complete_facts(root) | {"made": {"date": "2026-01-31", "commit": "abc1234"}}
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        render_only(patch, "held_out", "descriptors")
        return report.build(tables, facts, folder)


class Opened:
    """A page in a browser, and what it complained of and asked for."""

    def __init__(self, browser, path, viewport, **options):
        self.context = browser.new_context(viewport=viewport, **options)
        self.page = self.context.new_page()
        self.complaints, self.requests = [], []
        # warnings are of how WebGL is done without a graphics card
        self.page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.goto(path.as_uri())

    def show(self, name):
        """Scroll to a figure and wait until it is drawn."""
        self.page.locator(f"#figure-{name}").scroll_into_view_if_needed()
        self.page.wait_for_selector(f"#figure-{name} .plot .main-svg")
        return self.page.locator(f"#figure-{name} .plot")

    def column(self, number):
        return self.page.locator(f"#catalogue-table tbody td:nth-child({number})").all_inner_texts()

    def count(self):
        return self.page.locator("#catalogue-count").inner_text()


@pytest.fixture
def open_page(browser, page_path):
    opened = []

    def open_it(viewport, path=page_path, **options):
        opened.append(Opened(browser, path, viewport, **options))
        return opened[-1]

    yield open_it
    for found in opened:
        found.context.close()
        # the figures that the fixture did not draw are no pictures
        errors = [text for text in found.complaints if "data:image/png" not in text]
        assert errors == []
        outside = [url for url in found.requests if not url.startswith(("file:", "data:", "blob:"))]
        assert outside == []


@pytest.mark.slow("opens a browser")
@pytest.mark.parametrize("viewport", [WIDE, TELEPHONE], ids=["wide", "telephone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_nothing_complains(open_page, viewport, scheme):
    found = open_page(viewport, color_scheme=scheme)
    for name in ("held_out", "structures", "uptake_against_diffusivity"):
        plot = found.show(name)
        box = plot.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= viewport["width"]
    width = found.page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    dark = found.page.evaluate("getComputedStyle(document.body).backgroundColor") != (
        "rgb(255, 255, 255)"
    )
    assert dark == (scheme == "dark")
    # a figure's letters are those of the page: light on dark, dark on light
    letters = found.page.locator("#figure-held_out .xtitle").evaluate("e => e.style.fill")
    assert (max(map(int, re.findall(r"\d+", letters)[:3])) > 150) == (scheme == "dark")
    # every picture of the page has words in its place
    assert found.page.locator("img:not([alt]), img[alt='']").count() == 0
    assert "2026-01-31" in found.page.inner_text(".made") and "abc1234" in found.page.inner_text(
        ".made"
    )
    assert found.page.title() == "Poreflux: demo"


@pytest.mark.slow("opens a browser")
def test_table_is_sorted_searched_and_turned_by_keyboard(open_page):
    found = open_page(WIDE)
    assert found.count() == "1 to 25 of 110"
    head = found.page.locator("th[data-key=lcd_A] button")
    head.focus()
    found.page.keyboard.press("Enter")
    values = [float(x) for x in found.column(3) if x != "–"]
    assert values == sorted(values) and len(values) == 25
    assert found.page.get_attribute("th[data-key=lcd_A]", "aria-sort") == "ascending"
    found.page.keyboard.press("Enter")
    values = [float(x) for x in found.column(3) if x != "–"]
    assert values == sorted(values, reverse=True)
    # five structures failed: what has no number stands last, in either order
    last = found.page.locator("#catalogue-pages button[data-step='1']")
    while last.is_enabled():
        last.click()
    assert found.column(3)[-5:] == ["–"] * 5 and found.count() == "101 to 110 of 110"
    search = found.page.get_by_label("Search in names, formulas and flags")
    search.fill("FAILED hmof")
    assert found.column(1) == ["hmof059", "hmof058"] or found.column(1) == ["hmof058", "hmof059"]
    assert "two atoms 0.31 Å apart" in found.page.inner_text("#catalogue-table tbody")
    search.fill("")
    found.page.get_by_label("Set", exact=True).select_option("target")
    assert found.count().endswith("of 50")
    search.fill("no such structure")
    assert found.count() == "No structure matches"
    with found.page.expect_download() as download:
        search.fill("onerror")
        found.page.get_by_role("button", name="Save as CSV").click()
    saved = pd.read_csv(download.value.path())
    assert saved["name"].tolist() == [EVIL]


@pytest.mark.slow("opens a browser")
def test_a_point_says_which_structure_it_is(open_page):
    found = open_page(WIDE)
    plot = found.show("held_out")
    point = plot.locator(".scatterlayer .point").nth(4)
    box = point.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    found.page.mouse.move(x, y)
    label = found.page.locator("#figure-held_out .hovertext").first
    label.wait_for()
    name = re.match(r"core\d{3}|<img", label.text_content())[0]
    found.page.mouse.click(x, y)
    chosen = found.page.locator("#chosen")
    chosen.wait_for()
    assert name in chosen.inner_text()
    assert name in found.page.locator("#catalogue-table tr.chosen").inner_text()


@pytest.mark.slow("opens a browser")
def test_a_name_of_the_table_marks_its_point(open_page):
    found = open_page(WIDE)
    plot = found.show("held_out")
    before = plot.locator(".scatterlayer .point").count()
    found.page.get_by_label("Search in names, formulas and flags").fill("onerror")
    found.page.locator("#catalogue-table tbody button").click()
    assert EVIL in found.page.inner_text("#chosen")
    plot.locator(".scatterlayer .point").nth(before).wait_for(state="attached")
    # the name is text and no markup
    assert found.page.locator("#catalogue-table img, #chosen img, .plot img").count() == 0
    found.page.get_by_role("button", name="Close").click()
    assert found.page.locator("#chosen").is_hidden()


@pytest.mark.slow("opens a browser")
def test_axes_are_chosen(open_page):
    found = open_page(WIDE)
    plot = found.show("structures")
    found.page.get_by_label("Horizontal axis").select_option("lcd_A")
    plot.locator(".xtitle", has_text="LCD").wait_for()


@pytest.mark.slow("opens a browser")
def test_channels_turn_where_space_can_be_shown(open_page):
    found = open_page(WIDE)
    found.page.locator("#figure-channels").scroll_into_view_if_needed()
    webgl = found.page.evaluate("Boolean(document.createElement('canvas').getContext('webgl'))")
    if webgl:
        found.page.wait_for_selector("#figure-channels .plot canvas")
    # where it cannot, the drawing is left
    assert found.page.locator("#figure-channels .plot").is_visible() == webgl
    assert found.page.locator("#figure-channels img").is_visible() != webgl


@pytest.mark.slow("opens a browser")
def test_without_scripts_the_drawings_stand_there(open_page):
    found = open_page(TELEPHONE, java_script_enabled=False)
    picture = found.page.locator("#figure-held_out img")
    assert picture.is_visible() and picture.bounding_box()["width"] <= TELEPHONE["width"]
    assert found.page.locator("#figure-held_out .plot").is_hidden()


@pytest.mark.slow("opens a browser")
@pytest.mark.parametrize("viewport", [WIDE, TELEPHONE], ids=["wide", "telephone"])
def test_the_page_on_synthesis_is_not_cut_off_either(open_page, tmp_path, monkeypatch, viewport):
    render_only(monkeypatch)
    tables = together(one_case("alpha"))
    path = synthesis.build(tables, synthesis_facts() | {"synthetic": True}, tmp_path)
    found = open_page(viewport, path)
    assert found.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert found.page.locator(".banner").inner_text().startswith("These data are synthetic")


@pytest.mark.slow("draws a page of 24,000 structures")
def test_a_page_of_all_core_mofs_can_be_mailed_and_opens(root, browser, tmp_path, monkeypatch):
    """The three CoRE MOF archives hold 23,845 CIFs; mail often ends at 20 or 25 MB."""
    n = 24_000
    rng = np.random.default_rng(4)
    base = pd.DataFrame({"name": [f"CORE{k:05d}_clean_{k % 7}" for k in range(n)]})
    base = base.assign(content_hash=base["name"], status="ok", reason="")
    lcd = rng.gamma(4, 2, n)
    tables = {
        "target/structures": base.assign(
            formula="C108 H72 Cu12 N24 O48", n_atoms=100, volume_A3=1e3 * lcd,
            density_g_cm3=1 / lcd,
            warnings=np.where(rng.random(n) < 0.3, "close_contacts: C and H 0.81 Å apart", ""),
        ),
        "target/geometry": base.assign(
            lcd_A=lcd, pld_A=0.7 * lcd, asa_m2_cm3=100 * lcd, asa_m2_g=90 * lcd,
            void_fraction=rng.random(n),
        ),
        "target/percolation": base.assign(
            dimensionality=rng.integers(0, 4, n), henry_mol_kg_bar=rng.random(n),
            heat_of_adsorption_kJ_mol=rng.random(n), mobility=rng.random(n), barrier_1_K=100 * lcd,
        ),
        "target/uptake": base.assign(
            pressure_bar=65.0, uptake_cm3stp_cm3=10 * lcd, uptake_err_cm3stp_cm3=0.1
        ),
        "target/diffusion": base.assign(
            d_m2_s=10 ** rng.normal(-9, 1, n), d_err_m2_s=1e-10, diffusive=True
        ),
    }  # fmt: skip
    value = np.log10(tables["target/diffusion"]["d_m2_s"] / 1e-8)
    tables["study/held_out"] = base[["name", "content_hash"]].assign(
        label=DIFFUSIVITY, value=value, predicted=value + rng.normal(0, 0.2, n),
        predicted_std=0.2, n_models=5, model="gp dl",
    )  # fmt: skip
    render_only(monkeypatch, "structures", "held_out", "diffusivities")
    path = report.build(tables, complete_facts(root), tmp_path)
    assert path.stat().st_size < 12_000_000
    start = time.monotonic()
    found = Opened(browser, path, WIDE)
    assert found.count() == "1 to 25 of 24000"
    found.page.get_by_label("Search in names, formulas and flags").fill("CORE23999")
    assert found.count() == "1 to 1 of 1"
    found.show("held_out")
    assert time.monotonic() - start < 60
    found.context.close()


def test_figures_are_what_plotly_takes():
    """Plotly's own classes refuse a property that they do not know."""
    import plotly.graph_objects as go

    columns = tuple(interactive.Column(key, key, log=key == "d") for key in ("lcd", "d", "set"))
    table = pd.DataFrame({"lcd": [1.0], "d": [2.0], "set": ["target"]})
    catalogue = interactive.Catalogue(columns, table)
    spec = interactive.scatter(
        catalogue, "lcd", "d", group="set", names={"target": "t"}, colour="d"
    )
    (trace,) = spec["data"]
    assert trace.pop("where") == {"column": "set", "equals": "target"}
    for part in (trace, trace["marker"]):
        part |= {k: [1.0] for k, v in part.items() if isinstance(v, dict) and "column" in v}
    figure = go.Figure(data=[trace], layout=spec["layout"])
    assert figure.layout.yaxis.type == "log"
