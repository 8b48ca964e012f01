// The page keeps one question as a query. Controls change it; the newest is asked as soon as the
// answer under way has been drawn, older ones are never sent.
(function () {
  "use strict";
  const LOST = { type: "Div", props: { className: "note wrong", children:
    "The server of this page does not answer. Is dse explore still running?" } };
  const REST_MS = 220; // after which the slower answers are asked for
  const NARROW_PX = 560;
  const STEPS = 400; // of a slider
  const FIELDS = [
    ["tp", "Tensor parallel", "tp"], ["ep", "Expert parallel", "ep"], ["dp", "Data parallel", "dp"],
    ["pp", "Pipeline stages", "pp"], ["kvp", "KV parallel", "kvp"],
    ["context", "Context, tokens", "context"], ["weights", "Weight format", "weights"],
    ["kv", "KV format", "KV"], ["activations", "Activation format", "activations"],
  ];
  const state = {
    query: window.location.search.slice(1), busy: false, waiting: false, n: 0, panel: "",
    rows: new Map(), controls: null, rest: 0, dark: false, settled: 0,
  };
  const find = (id) => document.getElementById(id);
  const chart = () => document.querySelector("#curve .js-plotly-plot");

  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  // --- asking ---------------------------------------------------------------------------------

  function ask() {
    clearTimeout(state.rest);
    if (state.busy) { state.waiting = true; return; }
    state.busy = true;
    state.waiting = false;
    state.n += 1;
    fetched("quick").then(answered);
  }

  // An answer of the server to the question as it stands.
  async function fetched(kind) {
    const asked = { query: state.query, dark: state.dark, panel: state.panel };
    try {
      const response = await fetch("/" + kind, { method: "POST", body: JSON.stringify(asked),
        headers: { "Content-Type": "application/json" } });
      return await response.json();
    } catch { return { ok: false, words: {}, shown: { message: [LOST] } }; }
  }

  function change(edit) {
    const words = new URLSearchParams(state.query);
    edit(words);
    state.query = readable(words);
    ask();
  }

  // What an address may hold stays readable; the server writes it the same way.
  function readable(words) {
    return words.toString().replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%2C", ",")
      .replaceAll("%3D", "=");
  }

  function setPath(path, text) {
    change((words) => {
      const others = words.getAll("set").filter((item) => item.split("=")[0] !== path);
      words.delete("set");
      others.forEach((item) => words.append("set", item));
      if (text !== null) words.append("set", `${path}=${text}`);
    });
  }

  function setWord(name, text) {
    change((words) => { if (text) words.set(name, text); else words.delete(name); });
  }

  function answered(answer) {
    document.body.classList.toggle("wrong", !answer.ok);
    if (answer.ok) draw(answer.figure);
    // The rest, and the next question, wait until the curve is on the screen.
    requestAnimationFrame(() => setTimeout(() => {
      Object.entries(answer.shown).forEach(show);
      if (answer.ok) follow(answer.controls);
      else { state.settled = state.n; showPicked(answer.words); }
      state.busy = false;
      if (state.waiting) ask(); else state.rest = setTimeout(rested, REST_MS);
    }));
  }

  function draw(figure) {
    const layout = figure.layout, graph = chart();
    layout.meta = { n: state.n };
    if (graph.clientWidth < NARROW_PX) { // the definition behind the name of an axis has no room
      for (const axis of [layout.xaxis, layout.yaxis]) {
        axis.title.text = axis.title.text.replace(/ \u2014 .*(?= \u2192)/, "");
      }
    }
    window.Plotly.react(graph, figure);
  }

  function follow(controls) {
    document.body.classList.remove("blank");
    state.controls = controls;
    if (controls.panel) { state.panel = controls.shown; buildPanel(controls.panel); }
    if (state.waiting) return;
    state.query = controls.query;
    history.replaceState(null, "", "?" + controls.query);
    showControls(controls);
  }

  async function rested() {
    if (state.busy || document.body.classList.contains("wrong")) return;
    const n = state.n, results = find("results");
    results.setAttribute("aria-busy", "true");
    const answer = await fetched("thorough");
    results.setAttribute("aria-busy", "false");
    if (n !== state.n || !answer.ok) return; // a newer question is under way
    Object.entries(answer.shown).forEach(show);
    state.settled = n;
    if (state.controls.bare === state.comparedWith) return;
    state.comparedWith = state.controls.bare;
    if ((await fetched("compare")).ok) ask(); // other chips are drawn once they are known
  }

  // --- what is shown --------------------------------------------------------------------------

  // Components as the server writes them (type, props) become elements.
  function built(node) {
    if (node === null || typeof node !== "object") return String(node ?? "");
    const { children, className, style, ...rest } = node.props;
    const inner = [children ?? []].flat().map(built);
    const element = make(node.type.toLowerCase(), { class: className, ...rest }, ...inner);
    Object.assign(element.style, style);
    return element;
  }

  function show([id, nodes]) {
    const wanted = make("div", {}, ...nodes.map(built));
    patch(find(id), wanted);
  }

  // Elements that are there take on what the new ones say: focus, opened parts and motion stay.
  function patch(old, wanted) {
    const nodes = [...wanted.childNodes];
    nodes.forEach((node, index) => {
      const there = old.childNodes[index];
      if (!there) old.append(node);
      else if (there.nodeName !== node.nodeName) there.replaceWith(node);
      else if (node.nodeType === Node.TEXT_NODE) there.data = node.data;
      else { dress(there, node); patch(there, node); }
    });
    while (old.childNodes.length > nodes.length) old.lastChild.remove();
  }

  function dress(old, wanted) {
    for (const { name } of [...old.attributes]) {
      if (name !== "open" && !wanted.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of wanted.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }

  // --- controls -------------------------------------------------------------------------------

  function showPicked(words) {
    for (const name of ["chip", "model", "workload", "fidelity"]) {
      const select = find(name), value = words[name] || (name === "fidelity" ? "" : select.value);
      if (![...select.options].some((option) => option.value === value)) {
        select.append(make("option", { value: value }, value));
      }
      select.value = value;
    }
  }

  function showControls(data) {
    showPicked(data.words);
    for (const [name] of FIELDS) {
      const field = find("field-" + name);
      if (document.activeElement !== field) field.value = data.words[name] || "";
      if (field.tagName === "INPUT") field.placeholder = data.defaults[name] || "";
      else field.options[0].textContent = data.defaults[name] || "as is";
    }
    find("fidelity").options[0].textContent = `auto (${data.defaults.fidelity})`;
    for (const [path, row] of state.rows) {
      const value = path === "batch" ? Number(data.words.batch || data.defaults.batch)
        : path in data.values ? data.values[path] : row.spec.value;
      row.show(value, path in data.set);
    }
    for (const select of document.querySelectorAll("select[data-choice]")) {
      select.value = data.set[select.dataset.choice] || "";
    }
    const pins = new URLSearchParams(data.query).getAll("pin").length;
    find("unpin").disabled = !pins;
    find("reset").disabled = !Object.keys(data.set).length;
  }

  function buildDeployment() {
    const place = find("deployment");
    const batch = { path: "batch", label: "batch", about: "Sequences in flight in the replica.",
      value: 32, unit: "", factor: 1, from: 1, to: 4096, whole: true, low: null, high: null };
    place.append(buildRow(batch, true));
    const grid = make("div", { class: "fields" });
    const formats = ["", ...place.dataset.formats.split(" ")];
    for (const [name, about, short] of FIELDS) {
      const isFormat = ["weights", "kv", "activations"].includes(name);
      const field = isFormat
        ? make("select", { id: "field-" + name },
          ...formats.map((f) => make("option", { value: f }, f || "as is")))
        : make("input", { id: "field-" + name, type: "text", inputmode: "decimal",
          autocomplete: "off", maxlength: 20 });
      field.addEventListener("change", () => setWord(name, field.value.trim()));
      grid.append(make("label", { for: field.id, title: about }, make("span", {}, short), field));
    }
    place.append(grid);
    const search = make("input", { type: "search", id: "search", placeholder: "find, e.g. latency",
      "aria-label": "Find a number of the chip", maxlength: 60 });
    search.addEventListener("input", () => filter(search.value.trim().toLowerCase()));
    find("finder").append(search);
  }

  function buildPanel(panel) {
    const place = find("knobs");
    const batch = state.rows.get("batch");
    state.rows = new Map(batch ? [["batch", batch]] : []);
    place.replaceChildren(...panel.groups.map(buildGroup));
    find("search").value = "";
  }

  function buildGroup(group) {
    const first = group.rows.filter((row) => row.first), more = group.rows.filter((r) => !r.first);
    const open = first.length > 0;
    const details = make("details", { class: "group", open: open ? "" : null },
      make("summary", {}, group.title, make("em", {}, String(group.rows.length))));
    group.choices.forEach((choice) => details.append(buildChoice(choice)));
    first.forEach((row) => details.append(buildRow(row)));
    if (more.length && open) {
      details.append(make("details", { class: "more" },
        make("summary", {}, `${more.length} more`), ...more.map((row) => buildRow(row))));
    } else more.forEach((row) => details.append(buildRow(row)));
    return details;
  }

  function buildChoice(choice) {
    const id = "choice-" + choice.path;
    const select = make("select", { id: id, "data-choice": choice.path },
      make("option", { value: "" }, "as it is"),
      ...choice.options.map((name) => make("option", { value: name }, name)));
    select.addEventListener("change", () => setPath(choice.path, select.value || null));
    return make("label", { class: "choice", for: id, "data-find": choice.path },
      make("span", {}, choice.label), select);
  }

  // --- one number: a slider on a log scale beside a box with its unit --------------------------

  function buildRow(spec) {
    const id = "knob-" + spec.path;
    const box = make("input", { type: "text", class: "box", id: id, autocomplete: "off",
      maxlength: 60, spellcheck: "false" });
    const undo = make("button", { class: "undo", title: "Undo this change", hidden: "",
      "aria-label": `Undo the change of ${spec.label}` }, "\u21ba");
    const node = make("div", { class: "knob", "data-path": spec.path,
      "data-find": `${spec.path} ${spec.label} ${spec.about}`.toLowerCase() },
    make("label", { for: id, title: tooltip(spec) }, spec.label), box, undo);
    const slider = spec.from ? buildSlider(spec) : null;
    if (slider) node.append(slider.parentNode);
    const row = { spec: spec, show: (value, isSet) => showRow(row, value, isSet),
      node: node, box: box, slider: slider, undo: undo, editing: false };
    state.rows.set(spec.path, row);
    const send = (text) => (spec.path === "batch" ? setWord("batch", text) : setPath(spec.path, text));
    if (slider) {
      slider.addEventListener("input", () => {
        const text = written(spec, scaled(spec, slider.value));
        box.value = text;
        describe(spec, slider, text);
        send(text.replaceAll(" ", "").replaceAll(",", ""));
      });
    }
    box.addEventListener("input", () => { row.editing = true; });
    box.addEventListener("change", () => {
      row.editing = false;
      send(box.value.trim().replaceAll(" ", "") || null);
    });
    box.addEventListener("keydown", (event) => {
      if (event.key === "ArrowUp" || event.key === "ArrowDown") {
        event.preventDefault();
        if (slider) { slider[event.key === "ArrowUp" ? "stepUp" : "stepDown"](4);
          slider.dispatchEvent(new Event("input")); }
      }
    });
    undo.addEventListener("click", () => { send(null); box.focus(); });
    return node;
  }

  function buildSlider(spec) {
    const slider = make("input", { type: "range", min: 0, max: STEPS, step: 1,
      "aria-label": `${spec.label}, slider`, "data-path": spec.path });
    const track = make("div", { class: "track" });
    if (spec.low && spec.high && spec.low < spec.high) {
      const from = place(spec, spec.low), to = place(spec, spec.high);
      track.append(make("i", { class: "range", style: `left:${from}%;width:${to - from}%`,
        title: `stated range ${written(spec, spec.low)} to ${written(spec, spec.high)}` }));
    }
    track.append(make("i", { class: "base", style: `left:${place(spec, spec.value)}%` }), slider);
    return slider;
  }

  function showRow(row, value, isSet) {
    const text = written(row.spec, value);
    row.node.classList.toggle("set", isSet);
    row.undo.hidden = !isSet;
    row.node.classList.toggle("followed", !isSet && value !== row.spec.value && row.spec.path !== "batch");
    if (!row.editing) row.box.value = text;
    if (!row.slider) return;
    if (document.activeElement !== row.slider) {
      row.slider.value = Math.round(place(row.spec, value) * STEPS / 100);
    }
    describe(row.spec, row.slider, text);
  }

  function describe(spec, slider, text) {
    slider.setAttribute("aria-valuetext", text);
    slider.style.setProperty("--at", `${100 * slider.value / STEPS}%`);
  }

  // Share of a slider, in percent, at which a value stands; and the value at a step.
  function place(spec, value) {
    const share = Math.log(value / spec.from) / Math.log(spec.to / spec.from);
    return 100 * Math.min(1, Math.max(0, share));
  }

  function scaled(spec, step) {
    const value = spec.from * Math.pow(spec.to / spec.from, step / STEPS);
    return spec.whole ? Math.max(1, Math.round(value)) : value;
  }

  function written(spec, value) {
    const number = value * spec.factor;
    const digits = spec.whole ? String(Math.round(number)) : significant(number);
    return spec.unit ? `${digits} ${spec.unit}` : digits;
  }

  function significant(number) {
    if (number === 0) return "0";
    const size = Math.floor(Math.log10(Math.abs(number)));
    if (size < -5 || size > 8) return number.toExponential(2);
    const text = number.toFixed(Math.max(0, 3 - size - (size < 0 ? 1 : 0)));
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  }

  function tooltip(spec) {
    const range = spec.low && spec.high ? `; range ${written(spec, spec.low)} to ${written(spec, spec.high)}` : "";
    const from = spec.source ? `; ${spec.source}` : "";
    return `${spec.path}: ${spec.about}${range}${from}`;
  }

  function filter(words) {
    document.body.classList.toggle("searching", Boolean(words));
    for (const node of document.querySelectorAll("#knobs [data-find]")) {
      node.hidden = Boolean(words) && !node.dataset.find.includes(words);
    }
    for (const group of document.querySelectorAll("#knobs details")) {
      const hit = Boolean(group.querySelector("[data-find]:not([hidden])"));
      group.hidden = Boolean(words) && !hit;
      if (words && hit) group.open = true;
    }
  }

  // --- buttons --------------------------------------------------------------------------------

  function pin() {
    change((words) => {
      const pins = words.getAll("pin").slice(-2);
      words.delete("pin");
      const alone = words.toString();
      [...pins, alone].forEach((item) => words.append("pin", item));
    });
  }

  function pickChip(name) {
    change((words) => {
      words.delete("set");
      ["tp", "ep", "dp", "pp", "kvp", "weights_in", "kv_in", "math"].forEach((w) => words.delete(w));
      words.set("chip", name);
    });
  }

  async function copy(text, button) {
    const before = button.textContent;
    try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; } catch {
      button.textContent = "Press Ctrl-C";
      const range = document.createRange();
      range.selectNodeContents(find("command"));
      window.getSelection().removeAllRanges();
      window.getSelection().addRange(range);
    }
    setTimeout(() => { button.textContent = before; }, 1200);
  }

  function paint(dark, again) {
    state.dark = dark;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    const button = find("theme");
    button.setAttribute("aria-pressed", String(dark));
    button.textContent = dark ? "Light" : "Dark";
    if (again) ask();
  }

  function goto(path) {
    const row = state.rows.get(path);
    if (!row) return;
    for (let node = row.node.parentElement; node; node = node.parentElement) {
      if (node.tagName === "DETAILS") node.open = true;
    }
    row.node.scrollIntoView({ block: "center" });
    (row.slider || row.box).focus();
  }

  const CLICKS = {
    pin: pin,
    unpin: () => change((words) => words.delete("pin")),
    reset: () => change((words) => words.delete("set")),
    link: (button) => copy(window.location.href, button),
    copy: (button) => copy(find("command").textContent, button),
    theme: () => paint(!state.dark, true),
  };

  function listen() {
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (CLICKS[button.id]) CLICKS[button.id](button);
      else if (button.dataset.goto) goto(button.dataset.goto);
      else if (button.dataset.apply) apply(button.dataset.apply);
    });
    document.addEventListener("change", (event) => {
      const word = event.target.dataset.word;
      if (word === "chip") pickChip(event.target.value);
      else if (word) setWord(word, event.target.value);
    });
    window.addEventListener("popstate", () => { state.query = location.search.slice(1); ask(); });
  }

  function apply(text) {
    const [name, ...rest] = text.split("=");
    if (name === "set") setPath(rest[0], rest.slice(1).join("="));
    else setWord(name, rest.join("="));
  }

  function start() {
    if (!find("knobs") || !find("theme") || !chart()) { setTimeout(start, 20); return; }
    document.body.classList.add("blank");
    buildDeployment();
    listen();
    paint(window.matchMedia("(prefers-color-scheme: dark)").matches, false);
    ask();
  }

  // For measurements and tests: the newest question's number, and whether all is answered.
  window.dseExplore = {
    newest: () => state.n + (state.waiting ? 1 : 0),
    answered: () => state.n > 0 && !state.busy && !state.waiting,
    settled: () => state.settled === state.n && !state.busy && !state.waiting,
  };
  start();
})();
