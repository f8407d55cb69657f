// The table of all structures, and the figures that show it. No library but plotly, no network.
(() => {
  "use strict";
  const ROWS_A_PAGE = 25;
  // Beyond so many points a figure is drawn by WebGL or, where there is none, of so many.
  const MANY_POINTS = 3000;
  const byId = (id) => document.getElementById(id);
  const read = (id) => (byId(id) ? JSON.parse(byId(id).textContent) : null);
  const catalogue = read("catalogue-data");
  const plots = read("plots-data") || {};
  const columns = catalogue ? catalogue.columns : [];
  const data = catalogue ? catalogue.data : {};
  const column = (key) => columns.find((c) => c.key === key);
  const state = { sort: "name", up: true, search: "", set: "", page: 0, rows: [], chosen: null };
  const drawn = [];

  // ---- numbers as text

  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const raised = (n) => String(n).replace("-", "⁻").replace(/\d/g, (d) => SUPERSCRIPTS[d]);

  function printed(value, { kind, places }) {
    if (value === null || value === undefined || value === "") return "–";
    if (kind === "text") return value;
    if (kind === "power" && value !== 0) {
      const [mantissa, exponent] = value.toExponential(2).split("e");
      return `${mantissa} × 10${raised(Number(exponent))}`.replace(/^-/, "−");
    }
    const text = places === null ? String(Number(value.toPrecision(3))) : value.toFixed(places);
    return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
  }

  // ---- the table

  const order = new Intl.Collator("en", { numeric: true }).compare;

  function select() {
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    const texts = columns.filter((c) => c.kind === "text" && c.key !== "set").map((c) => c.key);
    const n = data.name.length;
    const rows = [];
    for (let row = 0; row < n; row += 1) {
      if (state.set && data.set[row] !== state.set) continue;
      if (words.length) {
        const text = texts.map((key) => data[key][row]).join("\n").toLowerCase();
        if (!words.every((word) => text.includes(word))) continue;
      }
      rows.push(row);
    }
    const values = data[state.sort];
    const sign = state.up ? 1 : -1;
    const numeric = column(state.sort).kind !== "text";
    rows.sort((a, b) => {
      const [x, y] = [values[a], values[b]];
      const [noX, noY] = [x === null || x === "", y === null || y === ""];
      // what has no value stands last in either order
      if (noX || noY) return noX - noY || a - b;
      return sign * (numeric ? x - y : order(x, y)) || a - b;
    });
    state.rows = rows;
  }

  function cell(row, c) {
    const td = document.createElement("td");
    if (c.key === "name") {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = data.name[row];
      button.addEventListener("click", () => choose(row));
      td.append(button);
    } else {
      td.textContent = printed(data[c.key][row], c);
      if (c.kind !== "text") td.className = "n";
    }
    return td;
  }

  function showPage() {
    const pages = Math.max(1, Math.ceil(state.rows.length / ROWS_A_PAGE));
    state.page = Math.min(Math.max(0, state.page), pages - 1);
    const first = state.page * ROWS_A_PAGE;
    const shown = state.rows.slice(first, first + ROWS_A_PAGE);
    const listed = columns.filter((c) => c.listed);
    byId("catalogue-table").tBodies[0].replaceChildren(
      ...shown.map((row) => {
        const tr = document.createElement("tr");
        tr.dataset.row = row;
        if (row === state.chosen) tr.className = "chosen";
        tr.append(...listed.map((c) => cell(row, c)));
        return tr;
      }),
    );
    const n = state.rows.length;
    const range = n ? `${first + 1} to ${first + shown.length} of ${n}` : "No structure matches";
    byId("catalogue-count").textContent = range;
    const [back, on] = byId("catalogue-pages").querySelectorAll("button");
    back.disabled = state.page === 0;
    on.disabled = state.page >= pages - 1;
  }

  function refresh() {
    select();
    state.page = 0;
    showPage();
  }

  function makeHeads() {
    const line = byId("catalogue-table").tHead.rows[0];
    for (const c of columns.filter((x) => x.listed)) {
      const th = document.createElement("th");
      th.scope = "col";
      th.dataset.key = c.key;
      if (c.kind !== "text") th.className = "n";
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = c.title;
      button.addEventListener("click", () => {
        state.up = state.sort === c.key ? !state.up : true;
        state.sort = c.key;
        markSorted();
        refresh();
      });
      th.append(button);
      line.append(th);
    }
    markSorted();
  }

  function markSorted() {
    for (const th of byId("catalogue-table").tHead.rows[0].cells) {
      const way = state.up ? "ascending" : "descending";
      th.setAttribute("aria-sort", th.dataset.key === state.sort ? way : "none");
    }
  }

  function saveCsv() {
    const quoted = (value) => {
      let text = value === null ? "" : String(value);
      // a spreadsheet would take it for a formula
      if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
      return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const lines = [columns.map((c) => c.key)];
    for (const row of state.rows) lines.push(columns.map((c) => data[c.key][row]));
    const text = lines.map((line) => line.map(quoted).join(",")).join("\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
    link.download = "structures.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  function startTable() {
    for (const id of ["catalogue-tools", "catalogue-table", "catalogue-pages"]) byId(id).hidden = false;
    makeHeads();
    byId("catalogue-search").addEventListener("input", (event) => {
      state.search = event.target.value;
      refresh();
    });
    byId("catalogue-set").addEventListener("change", (event) => {
      state.set = event.target.value;
      refresh();
    });
    byId("catalogue-csv").addEventListener("click", saveCsv);
    for (const button of byId("catalogue-pages").querySelectorAll("button")) {
      button.addEventListener("click", () => {
        state.page += Number(button.dataset.step);
        showPage();
      });
    }
    refresh();
  }

  // ---- one structure, in table and figures

  function choose(row) {
    state.chosen = row;
    if (byId("catalogue-table")) {
      if (!state.rows.includes(row)) {
        state.search = state.set = byId("catalogue-search").value = byId("catalogue-set").value = "";
        select();
      }
      state.page = Math.floor(state.rows.indexOf(row) / ROWS_A_PAGE);
      showPage();
    }
    for (const plot of drawn) ring(plot);
    describe(row);
  }

  function describe(row) {
    const bar = byId("chosen");
    const name = document.createElement("b");
    name.textContent = data.name[row];
    const rest = columns.filter((c) => c.listed && c.key !== "name" && data[c.key][row] !== null);
    const facts = rest.filter((c) => data[c.key][row] !== "").map((c) => {
      const span = document.createElement("span");
      span.textContent = `${c.title}: ${printed(data[c.key][row], c)}`;
      return span;
    });
    const link = document.createElement("a");
    link.href = "#catalogue";
    link.textContent = "in the table";
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    close.addEventListener("click", () => { bar.hidden = true; });
    bar.replaceChildren(name, ...facts, link, close);
    bar.hidden = false;
  }

  // ---- figures

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 40rem)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  function hasWebGL() {
    try {
      return Boolean(document.createElement("canvas").getContext("webgl"));
    } catch {
      return false;
    }
  }

  function theme() {
    const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--soft"), automargin: true,
      linecolor: colour("--soft"), exponentformat: "power" };
    return {
      axis,
      layout: {
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { color: colour("--ink"), family: "inherit", size: 13 },
        hoverlabel: { bgcolor: colour("--tint"), font: { color: colour("--ink") } },
        margin: { l: 10, r: 10, t: 30, b: 10 },
        legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
        hovermode: "closest",
        modebar: { orientation: "v", bgcolor: "rgba(0,0,0,0)", color: colour("--soft"),
          activecolor: colour("--ink") },
        // on a telephone a finger scrolls the page
        dragmode: narrow.matches ? false : "zoom",
      },
    };
  }

  // Lighter forms of the colours of groups, for a dark page.
  const LIGHTER = { "#0072B2": "#56B4E9", "#D55E00": "#FF9A4D", "#009E73": "#3DDCAA" };
  const shown = (marker) => (dark.matches && LIGHTER[marker.color]
    ? { ...marker, color: LIGHTER[marker.color] } : marker);

  const usable = (value, log) => value !== null && (!log || value > 0);

  function rowsOf(trace, x, y, step) {
    const rows = [];
    let seen = 0;
    for (let row = 0; row < data.name.length; row += 1) {
      const { where } = trace;
      if (where && data[where.column][row] !== where.equals) continue;
      if (!usable(data[x.key][row], x.log) || !usable(data[y.key][row], y.log)) continue;
      if (seen % step === 0) rows.push(row);
      seen += 1;
    }
    return rows;
  }

  function filled(spec) {
    const asked = (trace) => [column(trace.x.column), column(trace.y.column)];
    const count = spec.data.reduce((n, trace) => n + rowsOf(trace, ...asked(trace), 1).length, 0);
    const gl = count > MANY_POINTS && hasWebGL();
    const step = count > MANY_POINTS && !gl ? Math.ceil(count / MANY_POINTS) : 1;
    return spec.data.map((trace) => {
      const [x, y] = asked(trace);
      const rows = rowsOf(trace, x, y, step);
      const shade = trace.marker.color;
      const marker = shade.column
        ? { ...trace.marker, color: rows.map((row) => data[shade.column][row]) }
        : shown(trace.marker);
      return {
        ...trace,
        marker,
        type: gl ? "scattergl" : "scatter",
        x: rows.map((row) => data[x.key][row]),
        y: rows.map((row) => data[y.key][row]),
        customdata: rows,
        text: rows.map((row) => escaped(data.name[row])),
        hovertemplate: `<b>%{text}</b><br>${x.title}: %{x:.3~g}<br>${y.title}: %{y:.3~g}<extra></extra>`,
      };
    });
  }

  function line(traces) {
    const ends = traces.flatMap((trace) => [...trace.x, ...trace.y]);
    if (!ends.length) return [];
    const [low, high] = ends.reduce(([l, h], v) => [Math.min(l, v), Math.max(h, v)], [Infinity, -Infinity]);
    return [{ type: "scatter", mode: "lines", x: [low, high], y: [low, high], hoverinfo: "skip",
      showlegend: false, line: { color: colour("--soft"), width: 1 } }];
  }

  // On a logarithmic axis: powers of ten, with 2 and 5 where there are few.
  function ticks(spec, name, traces) {
    if (spec.layout[name].type !== "log") return {};
    const values = traces.flatMap((trace) => trace[name[0]]);
    const [low, high] = values.reduce(([l, h], v) => [Math.min(l, v), Math.max(h, v)], [Infinity, 0]);
    return { dtick: high / low < 30 ? "D2" : 1 };
  }

  function circled(spec) {
    const { x, y } = spec.data[0];
    const row = state.chosen;
    const there = row !== null && data[x.column][row] !== null && data[y.column][row] !== null;
    return { type: "scatter", mode: "markers", hoverinfo: "skip", showlegend: false,
      x: there ? [data[x.column][row]] : [], y: there ? [data[y.column][row]] : [],
      marker: { symbol: "circle-open", size: 18, color: colour("--ink"), line: { width: 3 } } };
  }

  function figure(spec) {
    const { axis, layout } = theme();
    if (spec.literal) return [spec.data.map(spread), { ...layout, ...spec.layout, scene: scene(spec, axis) }];
    const traces = filled(spec);
    const axes = Object.fromEntries(
      ["xaxis", "yaxis"].map((name) => [name, { ...axis, ...spec.layout[name], ...ticks(spec, name, traces) }]),
    );
    const parts = [...(spec.diagonal ? line(traces) : []), ...traces, circled(spec)];
    return [parts, { ...layout, ...spec.layout, ...axes }];
  }

  // The axes of a grid as plotly wants them: a coordinate for each of its points.
  function spread(trace) {
    if (!trace.axes) return trace;
    const [xs, ys, zs] = trace.axes;
    const points = xs.flatMap((x) => ys.flatMap((y) => zs.map((z) => [x, y, z])));
    const { axes, ...rest } = trace;
    return { ...rest, x: points.map((p) => p[0]), y: points.map((p) => p[1]), z: points.map((p) => p[2]) };
  }

  function scene(spec, axis) {
    const { automargin, ...shared } = axis;
    const themed = ["xaxis", "yaxis", "zaxis"].map((name) => [name, { ...shared, ...spec.layout.scene[name] }]);
    return { ...spec.layout.scene, ...Object.fromEntries(themed) };
  }

  function draw(plot) {
    const options = { displaylogo: false, responsive: true };
    return Plotly.react(plot.element, ...figure(plot.spec), options);
  }

  function ring(plot) {
    if (!plot.spec.literal) draw(plot);
  }

  function chooser(plot) {
    const tools = document.createElement("div");
    tools.className = "tools";
    for (const [name, words] of [["y", "Vertical axis"], ["x", "Horizontal axis"]]) {
      const label = document.createElement("label");
      const list = document.createElement("select");
      label.textContent = `${words} `;
      for (const key of plot.spec.choices) {
        list.add(new Option(column(key).title, key, false, key === plot.spec.data[0][name].column));
      }
      list.addEventListener("change", () => {
        const chosen = column(list.value);
        for (const trace of plot.spec.data) trace[name] = { column: chosen.key };
        plot.spec.layout[`${name}axis`] = { title: { text: chosen.title }, type: chosen.log ? "log" : "linear" };
        draw(plot);
      });
      label.append(list);
      tools.append(label);
    }
    plot.element.before(tools);
  }

  function start(element) {
    const plot = { element, spec: plots[element.dataset.plot] };
    // the drawing stays where space cannot be shown
    if (plot.spec.literal && !hasWebGL()) return null;
    element.hidden = false;
    if (plot.spec.diagonal) element.classList.add("square");
    if (plot.spec.choices && plot.spec.choices.length) chooser(plot);
    return draw(plot).then(() => {
      drawn.push(plot);
      element.on("plotly_click", (event) => {
        const row = event.points[0].customdata;
        if (typeof row === "number") choose(row);
      });
    });
  }

  // Figures are drawn when they come near the screen: a page opens at once, whatever it holds.
  function startFigures() {
    const near = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        near.unobserve(entry.target);
        start(entry.target.querySelector(".plot"));
      }
    }, { rootMargin: "600px" });
    for (const element of document.querySelectorAll(".plot")) near.observe(element.parentElement);
    const again = () => drawn.forEach(draw);
    dark.addEventListener("change", again);
    narrow.addEventListener("change", again);
  }

  if (byId("catalogue-table")) startTable();
  if (window.Plotly) startFigures();
})();
