"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const drawn = read("figures"), page = read("page");
  const root = document.documentElement;
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const plots = [...document.querySelectorAll(".plot")];
  const brushable = { pareto: null, parallel: null };

  // --- colours -----------------------------------------------------------------------------
  let scheme = root.dataset.scheme, printing = false;
  const isDark = () => !printing && (scheme === "dark" || (scheme === "auto" && prefersDark.matches));

  // The light figure with what is otherwise on a dark page put into it.
  function merged(one, other) {
    if (other === null || typeof other !== "object") return other;
    if (one === null || typeof one !== "object") return other;
    const copy = Array.isArray(one) ? [...one] : { ...one };
    for (const [key, value] of Object.entries(other)) copy[key] = merged(one[key], value);
    return copy;
  }

  function figure(name) {
    const { light, dark } = drawn[name];
    return structuredClone(isDark() ? merged(light, dark) : light);
  }

  const config = {
    displaylogo: false, responsive: true, doubleClick: "reset",
    modeBarButtonsToRemove: ["lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "toImage"],
  };

  function draw(place) {
    const name = place.dataset.figure, { data, layout } = figure(name);
    if (name in brushable) {
      layout.dragmode = "select";
      layout.hovermode = "closest";
    } else {
      layout.dragmode = false;
    }
    narrow(layout, place.clientWidth);
    return Plotly.react(place, data, layout, { ...config, displayModeBar: name === "pareto" ? "hover" : false });
  }

  // A figure in a narrow column gives up margin, not type.
  function narrow(layout, width) {
    if (width >= 720) return;
    for (const note of layout.annotations || []) {
      note.font = { ...note.font, size: Math.min((note.font || {}).size || 13, width >= 560 ? 12 : 11) };
      if (note.name === "key") note.text = note.text.replaceAll("   ", "  ");
    }
    if (width >= 560) return;
    layout.margin = { ...layout.margin, l: Math.min(layout.margin.l, Math.round(width * 0.34)), r: 14 };
    for (const axis of Object.keys(layout).filter((key) => key.startsWith("yaxis"))) {
      layout[axis].tickfont = { size: 11 };
    }
  }

  async function drawAll() {
    await Promise.all(plots.map(draw));
    mark();
  }

  const words = { auto: "as the system", light: "light", dark: "dark" };
  const button = document.getElementById("scheme");
  function setScheme(next) {
    scheme = next;
    root.dataset.scheme = next;
    button.textContent = words[next];
    button.setAttribute("aria-label", `Colours: ${words[next]}`);
    drawAll();
  }
  button.addEventListener("click", () => {
    const order = ["auto", "light", "dark"];
    setScheme(order[(order.indexOf(scheme) + 1) % order.length]);
  });
  prefersDark.addEventListener("change", () => scheme === "auto" && drawAll());
  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => printing || drawAll(), 200);
  });
  window.addEventListener("beforeprint", () => { printing = true; drawAll(); });
  window.addEventListener("afterprint", () => { printing = false; drawAll(); });

  // --- brushing ----------------------------------------------------------------------------
  const table = document.getElementById("designs-table"), body = table.tBodies[0];
  const ids = [...body.rows].map((row) => row.dataset.id);
  const place = (name) => document.querySelector(`.plot[data-figure="${name}"]`);
  // What was brushed where -> the designs inside it, words for it, and its range of an axis.
  const brushes = new Map();

  function selected() {
    if (!brushes.size) return null;
    let kept = new Set(ids);
    for (const { designs } of brushes.values()) kept = new Set([...kept].filter((id) => designs.has(id)));
    return kept;
  }

  function mark() {
    const kept = selected();
    markRows(kept);
    markScatter(kept);
    markLines(kept);
    const count = kept === null ? ids.length : kept.size;
    document.getElementById("selected").textContent =
      kept === null ? `${count} designs` : `${count} of ${ids.length} designs selected`;
    document.getElementById("clear").hidden = kept === null;
    const list = document.getElementById("brushes");
    list.replaceChildren(...[...brushes].map(([name, { words }]) => {
      const one = document.createElement("button");
      one.type = "button";
      one.textContent = words;
      one.setAttribute("aria-label", `Remove the selection: ${words}`);
      one.addEventListener("click", () => { brushes.delete(name); mark(); });
      return one;
    }));
  }

  function markRows(kept) {
    for (const row of body.rows) {
      const inside = kept !== null && kept.has(row.dataset.id);
      row.classList.toggle("on", inside);
      row.classList.toggle("off", kept !== null && !inside);
      row.setAttribute("aria-selected", String(inside));
    }
    const first = body.querySelector("tr.on"), frame = table.parentElement;
    if (first && !body.contains(document.activeElement)) frame.scrollTop = first.offsetTop - 2 * first.offsetHeight;
  }

  function markScatter(kept) {
    const plot = place("pareto");
    const points = plot.data.map(({ customdata }) =>
      kept === null || !customdata ? null : [...customdata.keys()].filter((i) => kept.has(customdata[i])));
    Plotly.restyle(plot, { selectedpoints: points, "unselected.marker.opacity": 0.12 });
    if (plot.layout.selections && plot.layout.selections.length) Plotly.relayout(plot, { selections: [] });
  }

  function markLines(kept) {
    const plot = place("parallel");
    if (!plot.data.length) return;
    const inside = plot.data.map((trace) => kept === null || kept.has(trace.name));
    Plotly.restyle(plot, {
      opacity: inside.map((yes) => (kept === null ? 0.7 : yes ? 1 : 0.06)),
      "line.width": inside.map((yes) => (kept !== null && yes ? 2 : 1.2)),
      selectedpoints: [null],
    });
    const boxes = [...brushes.values()].filter(({ range }) => range).map(({ range }) => ({
      type: "rect", x0: range.axis - 0.07, x1: range.axis + 0.07, y0: range.low, y1: range.high,
      line: { width: 0 }, fillcolor: getComputedStyle(root).getPropertyValue("--accent"), opacity: 0.28,
    }));
    Plotly.relayout(plot, { selections: [], shapes: [...drawn.parallel.light.layout.shapes, ...boxes] });
  }

  function brush(name, designs, words = name, range = null) {
    if (designs.size) brushes.set(name, { designs, words, range });
    else brushes.delete(name);
    mark();
  }

  function clear() {
    brushes.clear();
    mark();
  }

  function toggle(id) {
    const name = "picked";
    const designs = new Set((brushes.get(name) || { designs: [] }).designs);
    if (!designs.delete(id)) designs.add(id);
    brush(name, designs);
  }

  function listen() {
    const scatter = place("pareto"), lines = place("parallel");
    scatter.on("plotly_selected", (event) => {
      if (!event || !event.range) return;  // its outline was taken away, nothing was brushed
      brush("on the chart", new Set(event.points.map((point) => point.customdata).filter(Boolean)));
    });
    scatter.on("plotly_doubleclick", clear);
    scatter.on("plotly_click", (event) => {
      const hit = event.points.find((point) => point.customdata);
      if (hit) toggle(hit.customdata);
    });
    lines.on("plotly_selected", (event) => {
      if (!event || !event.range) return;
      const [left, right] = [...event.range.x].sort((a, b) => a - b);
      const [low, high] = [...event.range.y].sort((a, b) => a - b);
      page.heads.forEach((head, axis) => {
        if (axis < left || axis > right) return;
        const inside = lines.data.filter((t) => t.y[axis] !== null && t.y[axis] >= low && t.y[axis] <= high);
        inside.sort((a, b) => a.y[axis] - b.y[axis]);
        const ends = [inside[0], inside[inside.length - 1]].map((t) => t && t.text[axis].slice(head.length + 1));
        const said = ends[0] === ends[1] ? ends[0] : `${ends[0]} to ${ends[1]}`;
        brush(head, new Set(inside.map((trace) => trace.name)), `${head} ${said}`, { axis, low, high });
      });
    });
    lines.on("plotly_doubleclick", clear);
    lines.on("plotly_click", (event) => toggle(event.points[0].data.name));
    document.getElementById("clear").addEventListener("click", clear);
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row) toggle(row.dataset.id);
    });
    body.addEventListener("keydown", (event) => {
      const row = event.target.closest("tr");
      if (!row) return;
      if (event.key === " " || event.key === "Enter") { event.preventDefault(); toggle(row.dataset.id); }
      const next = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
      if (next) { event.preventDefault(); next.focus(); }
    });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") clear(); });
  }

  // --- table -------------------------------------------------------------------------------
  function sort(head, column) {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.key;
    const numbers = [...body.rows].every((row) => key(row) !== "" && !Number.isNaN(Number(key(row))));
    const compare = numbers ? (a, b) => Number(key(a)) - Number(key(b)) : (a, b) => key(a).localeCompare(key(b));
    body.append(...[...body.rows].sort((a, b) => (down ? -1 : 1) * compare(a, b)));
  }

  for (const one of table.tHead.querySelectorAll("button")) {
    one.addEventListener("click", () => sort(one.closest("th"), Number(one.dataset.column)));
  }

  document.getElementById("csv").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([read("front-csv")], { type: "text/csv" }));
    link.download = `${page.run}-front.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  // --- where one is ------------------------------------------------------------------------
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  for (const id of links.keys()) watch.observe(document.getElementById(id));

  button.textContent = words[scheme];
  drawAll().then(() => { listen(); root.dataset.ready = "true"; });
})();
