// The explorer's panel: it draws what the kernel tells, and tells it what is asked for. Text enters as text only.

let panels = 0;

function node(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") made.className = value;
    else if (name === "text") made.textContent = value;
    else if (name === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

function option(value, label = value) {
  const made = node("option", { text: label });
  made.value = value;
  return made;
}

// ---------------------------------------------------------------------------------------------- colours
// After viridis: lightness rises evenly, readable without colour vision.
const SEQUENTIAL = ["#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725"];
const KINDS = {
  light: {
    land: "#f5f2ea",
    sea: "#c8dde6",
    district: "#efe9dc",
    river: "#c8dde6",
    park: "#d3e4c4",
    building: "#e4dccd",
    road: "#ffffff",
    other: "#e8e2d4",
    edge: "#d5ccba",
    quiet: "#59636d",
    ring: "#ffffff",
    ink: "#17212b",
  },
  dark: {
    land: "#1b1f23",
    sea: "#10222e",
    district: "#22272c",
    river: "#10222e",
    park: "#1d3127",
    building: "#282e34",
    road: "#3a4249",
    other: "#262b30",
    edge: "#3b434b",
    quiet: "#a9b2bb",
    ring: "#0c0f12",
    ink: "#ffffff",
  },
};

function colour(share) {
  const place = Math.min(Math.max(share, 0), 1) * (SEQUENTIAL.length - 1),
    k = Math.min(Math.floor(place), SEQUENTIAL.length - 2);
  const parts = [1, 3, 5].map((at) => {
    const [low, high] = [k, k + 1].map((stop) => parseInt(SEQUENTIAL[stop].slice(at, at + 2), 16));
    return Math.round(low + (high - low) * (place - k));
  });
  return `rgb(${parts.join(",")})`;
}

// Whether the notebook is dark: the first background that is there, from the panel outwards.
function isDark(from) {
  for (let at = from.parentElement; at; at = at.parentElement) {
    const [red, green, blue, alpha = 1] = (getComputedStyle(at).backgroundColor.match(/[\d.]+/g) || []).map(Number);
    if (alpha > 0.5 && red != null) return 0.3 * red + 0.59 * green + 0.11 * blue < 128;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

// --------------------------------------------------------------------------------------------- the map
class SiteMap {
  constructor(plan, choose) {
    Object.assign(this, { plan, choose, site: "", values: [], scale: [0, 1], dark: false, zoom: 1, shift: [0, 0] });
    const middle = ((Math.min(...this.range(plan.lat)) + Math.max(...this.range(plan.lat))) / 2) * (Math.PI / 180);
    this.squeeze = Math.max(Math.cos(middle), 0.05); // degrees of longitude are shorter than those of latitude
    this.canvas = node("canvas", {
      class: "sx-canvas",
      tabindex: 0,
      role: "img",
      "aria-label": "Map of the sites; arrow keys choose one",
    });
    const tools = node(
      "div",
      { class: "sx-zoom" },
      node("button", { type: "button", "aria-label": "Zoom in", text: "+", on: { click: () => this.magnify(1.6) } }),
      node("button", {
        type: "button",
        "aria-label": "Zoom out",
        text: "−",
        on: { click: () => this.magnify(1 / 1.6) },
      }),
    );
    this.root = node("div", { class: "sx-map" }, this.canvas, tools);
    this.listen();
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.root);
  }
  range(values) {
    return values.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [Infinity, -Infinity]);
  }
  listen() {
    let from = null,
      moved = false;
    this.canvas.addEventListener("pointerdown", (event) => {
      from = [event.offsetX, event.offsetY];
      moved = false;
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!from || !(event.buttons & 1)) return;
      const step = [event.offsetX - from[0], event.offsetY - from[1]];
      if (!moved && Math.hypot(...step) < 4) return;
      moved = true;
      if (this.zoom === 1) return;
      this.shift = [this.shift[0] + step[0], this.shift[1] + step[1]];
      from = [event.offsetX, event.offsetY];
      this.draw();
    });
    this.canvas.addEventListener("pointerup", (event) => {
      if (from && !moved) this.pick(event.offsetX, event.offsetY);
      from = null;
    });
    this.canvas.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation(); // the notebook would go to another cell
      const { sites } = this.plan,
        at = (sites.indexOf(this.site) + step + sites.length) % sites.length;
      this.choose(sites[at]);
    });
  }
  magnify(by) {
    const zoom = Math.min(Math.max(this.zoom * by, 1), 60),
      real = zoom / this.zoom;
    this.shift = zoom === 1 ? [0, 0] : this.shift.map((one) => one * real);
    this.zoom = zoom;
    this.draw();
  }
  // Longitude and latitude to pixels of the canvas.
  projection() {
    const { width, height } = this.canvas.getBoundingClientRect(),
      edge = 22;
    const [west, east] = this.range(this.plan.lon),
      [south, north] = this.range(this.plan.lat);
    const wide = Math.max((east - west) * this.squeeze, 1e-6),
      high = Math.max(north - south, 1e-6);
    const scale = Math.min((width - 2 * edge) / wide, (height - 2 * edge) / high) * this.zoom;
    const [x, y] = [(west + east) / 2, (south + north) / 2],
      [right, down] = this.shift;
    return ([lon, lat]) => [
      width / 2 + right + (lon - x) * this.squeeze * scale,
      height / 2 + down - (lat - y) * scale,
    ];
  }
  places() {
    const project = this.projection();
    return this.plan.sites.map((_, k) => project([this.plan.lon[k], this.plan.lat[k]]));
  }
  pick(x, y) {
    let best = -1,
      least = 16;
    this.places().forEach(([a, b], k) => {
      const gap = Math.hypot(a - x, b - y);
      if (gap < least) [best, least] = [k, gap];
    });
    if (best >= 0) this.choose(this.plan.sites[best]);
  }
  draw() {
    const { width, height } = this.canvas.getBoundingClientRect(),
      sharp = window.devicePixelRatio || 1;
    if (!width || !height) return;
    this.canvas.width = Math.round(width * sharp);
    this.canvas.height = Math.round(height * sharp);
    const pen = this.canvas.getContext("2d"),
      look = KINDS[this.dark ? "dark" : "light"];
    pen.scale(sharp, sharp);
    pen.fillStyle = look.land;
    pen.fillRect(0, 0, width, height);
    const project = this.projection();
    for (const layer of this.plan.base) this.layer(pen, look, layer, project);
    const [low, high] = this.scale,
      radius = this.plan.sites.length > 400 ? 3 : 6,
      chosen = this.plan.sites.indexOf(this.site);
    pen.lineWidth = 1.5;
    this.places().forEach(([x, y], k) => {
      if (k === chosen) return;
      this.dot(pen, look, x, y, radius, this.values[k], low, high);
    });
    if (chosen < 0) return;
    const [x, y] = this.places()[chosen];
    this.dot(pen, look, x, y, Math.max(radius + 2, 7), this.values[chosen], low, high);
    pen.strokeStyle = look.ink;
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.arc(x, y, Math.max(radius + 5, 10), 0, 7);
    pen.stroke();
  }
  dot(pen, look, x, y, radius, value, low, high) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 7);
    pen.fillStyle = value == null ? look.land : colour((value - low) / (high - low));
    pen.fill();
    pen.strokeStyle = value == null ? look.quiet : look.ring;
    pen.stroke();
  }
  layer(pen, look, layer, project) {
    for (const { geometry } of layer.features) {
      if (!geometry) continue;
      const parts = geometry.type === "GeometryCollection" ? geometry.geometries : [geometry];
      for (const { type, coordinates } of parts) {
        if (/Point/.test(type)) continue;
        const area = /Polygon/.test(type),
          rings = type === "LineString" ? [coordinates] : type === "MultiPolygon" ? coordinates.flat() : coordinates;
        pen.beginPath();
        for (const ring of rings) ring.forEach((place, k) => pen[k ? "lineTo" : "moveTo"](...project(place)));
        pen.lineJoin = pen.lineCap = "round";
        if (area) {
          pen.fillStyle = look[layer.kind] || look.other;
          pen.fill("evenodd");
          pen.strokeStyle = look.edge;
          pen.lineWidth = 0.7;
        } else {
          pen.strokeStyle = look[layer.kind] || look.other;
          pen.lineWidth = { river: 5, road: 2.5 }[layer.kind] || 1.5;
        }
        pen.stroke();
      }
    }
  }
}

// ------------------------------------------------------------------------------------------- the panel
class Panel {
  constructor(model, el) {
    Object.assign(this, { model, el, number: ++panels, draw: 0, score: 1, listeners: [] });
    this.build();
    const renew = {
      scenarios: () => this.scenarios(),
      prompts: () => this.prompts(),
      site: () => this.chosen(),
      against: () => this.chosen(),
      prompt: () => {
        if (document.activeElement !== this.field) this.field.value = model.get("prompt");
      },
      shown: () => this.landscapes(),
      dots: () => this.dots(),
      busy: () => this.state(),
      said: () => this.state(),
      run: () => this.state(),
    };
    for (const [trait, act] of Object.entries(renew)) {
      model.on(`change:${trait}`, act);
      this.listeners.push([`change:${trait}`, act]);
      act();
    }
    this.theme = new MutationObserver(() => this.dress());
    for (const at of [document.documentElement, document.body]) this.theme.observe(at, { attributes: true });
    this.dress();
    requestAnimationFrame(() => this.dress()); // once it is in the page
  }
  leave() {
    for (const [event, act] of this.listeners) this.model.off(event, act);
    this.theme.disconnect();
    this.map.watcher.disconnect();
  }
  dress() {
    this.root.classList.toggle("sx-dark", (this.map.dark = isDark(this.el)));
    this.map.draw();
  }
  id(name) {
    return `sx-${this.number}-${name}`;
  }
  set(trait, value) {
    this.model.set(trait, value);
    this.model.save_changes();
  }
  ask(what, more = {}) {
    this.model.send({ ask: what, ...more });
  }
  labelled(label, control, name) {
    control.id = this.id(name);
    return node("div", { class: "sx-field" }, node("label", { for: control.id, text: label }), control);
  }
  button(text, act, kind = "") {
    return node("button", { type: "button", class: `sx-button ${kind}`, text, on: { click: act } });
  }

  build() {
    const plan = this.model.get("plan");
    this.map = new SiteMap(plan, (site) => this.set("site", site));
    this.site = node(
      "select",
      { on: { change: () => this.set("site", this.site.value) } },
      ...plan.sites.map((name) => option(name)),
    );
    this.against = node("select", { on: { change: () => this.set("against", this.against.value) } });
    this.coloured = node("select", {
      on: {
        change: () => {
          this.score = Number(this.coloured.value);
          this.dots();
        },
      },
    });
    this.legend = node("div", { class: "sx-legend" });
    this.field = node("input", {
      type: "text",
      list: this.id("prompts"),
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "for example: a pedestrian plaza with trees",
      on: {
        keydown: (event) => {
          event.stopPropagation();
          if (event.key === "Enter") this.sketch();
        },
      },
    });
    this.suggestions = node("datalist", { id: this.id("prompts") });
    this.go = this.button("Draw", () => this.sketch(), "sx-first");
    this.figures = node("div", { class: "sx-figures" });
    this.leaf = node("div", { class: "sx-leaf" });
    this.table = node("div", { class: "sx-scores" });
    this.name = node("input", {
      type: "text",
      autocomplete: "off",
      placeholder: "plaza",
      on: {
        keydown: (event) => {
          event.stopPropagation();
          if (event.key === "Enter") this.add();
        },
      },
    });
    this.adding = this.button("Add as scenario", () => this.add());
    this.running = this.button("Run for all sites", () => this.ask("run"));
    this.stop = this.button("Cancel", () => this.ask("cancel"));
    this.bar = node("progress", { max: 1, "aria-label": "Landscapes drawn" });
    this.far = node("span", { class: "sx-far" });
    this.line = node("p", { class: "sx-status", role: "status", "aria-live": "polite" });
    this.foot = node("p", { class: "sx-foot" });
    this.badge = node("span", { class: "sx-badge" });
    this.root = node(
      "section",
      { class: "sx", "aria-label": "Explorer" },
      node(
        "div",
        { class: "sx-side" },
        this.map.root,
        this.labelled("Site", this.site, "site"),
        this.labelled("Dots show", this.coloured, "coloured"),
        this.legend,
      ),
      node(
        "div",
        { class: "sx-main" },
        node("div", { class: "sx-line" }, this.labelled("Compare with", this.against, "against"), this.badge),
        node(
          "div",
          { class: "sx-line sx-ask" },
          this.labelled("Scene prompt", this.field, "prompt"),
          this.go,
          this.suggestions,
        ),
        this.figures,
        this.leaf,
        this.table,
        node(
          "div",
          { class: "sx-line sx-keep" },
          this.labelled("Keep this prompt as", this.name, "name"),
          this.adding,
          this.running,
        ),
        node("div", { class: "sx-line sx-run" }, this.bar, this.far, this.stop),
        this.line,
        this.foot,
      ),
    );
    this.el.append(node("div", { class: "sx-room" }, this.root));
  }
  sketch() {
    if (!this.go.disabled) this.ask("draw", { prompt: this.field.value });
  }
  add() {
    if (!this.adding.disabled) this.ask("add", { name: this.name.value, prompt: this.shownPrompt() });
  }
  shownPrompt() {
    return this.model.get("shown").new ? this.model.get("prompt") : this.field.value;
  }

  scenarios() {
    const names = this.model.get("scenarios");
    this.against.replaceChildren(...names.map((name) => option(name)));
    if (names.includes(this.name.value.trim())) this.name.value = ""; // it was added
    this.chosen();
  }
  prompts() {
    this.suggestions.replaceChildren(...this.model.get("prompts").map((text) => option(text, "")));
  }
  chosen() {
    this.site.value = this.map.site = this.model.get("site");
    this.against.value = this.model.get("against");
    this.map.draw();
  }
  dots() {
    const { values = [], scale = [0, 1] } = this.model.get("dots");
    this.map.values = values[this.score] || [];
    this.map.scale = scale;
    this.legend.replaceChildren(
      ...(values.length
        ? [
            node("span", { text: scale[0] }),
            node("i", { style: `background: linear-gradient(90deg, ${SEQUENTIAL.join(",")})` }),
            node("span", { text: scale[1] }),
          ]
        : [node("span", { text: "no scores yet in this scenario" })]),
    );
    this.map.draw();
  }
  landscapes() {
    const shown = this.model.get("shown");
    if (!shown.old) return;
    const count = shown.old.pictures.length;
    this.draw = Math.min(this.draw, count - 1);
    if (!this.coloured.options.length) {
      this.coloured.append(...shown.scores.map((one, k) => option(k, `${one.label} (${one.direction})`)));
      this.coloured.value = this.score;
    }
    this.figures.replaceChildren(
      this.figure("Now", shown.against, shown.old, shown.site),
      shown.new
        ? this.figure("New", "this prompt", shown.new, shown.site)
        : node("div", {
            class: "sx-empty",
            text:
              "Type a scene prompt and draw it: the new landscape comes here, " +
              "from the same sound and the same noise.",
          }),
    );
    this.leaf.replaceChildren(
      ...(count < 2
        ? []
        : [
            this.turn("‹", "Previous draw", -1, count),
            node("span", { text: `draw ${this.draw + 1} of ${count}` }),
            this.turn("›", "Next draw", 1, count),
          ]),
    );
    this.scores(shown);
    this.badge.textContent = shown.evidence;
    this.badge.hidden = !shown.evidence;
    this.foot.textContent = shown.facts.join(" · ");
    this.map.draw();
    this.state();
  }
  turn(text, label, step, count) {
    return node("button", {
      type: "button",
      class: "sx-turn",
      "aria-label": label,
      text,
      on: {
        click: () => {
          this.draw = (this.draw + step + count) % count;
          this.landscapes();
        },
      },
    });
  }
  figure(title, under, one, site) {
    const picture = node("img", {
      alt: `${title}: ${site}, ${one.prompt || "the sound alone"}, draw ${this.draw + 1}`,
      src: one.pictures[this.draw],
    });
    const facts = [one.scene, one.elements.join(", ")].filter(Boolean).join(" · ");
    return node(
      "figure",
      { class: `sx-figure sx-${title.toLowerCase()}` },
      picture,
      node(
        "figcaption",
        {},
        node("b", { text: title }),
        node("span", { text: ` ${under}` }),
        node("q", { text: one.prompt || "the sound alone" }),
        node("small", { text: facts }),
        one.foreign ? node("small", { class: "sx-warn", text: `${one.foreign}: no evidence` }) : null,
      ),
    );
  }
  scores(shown) {
    const [low, high] = shown.scale,
      place = (value) => `${(100 * (value - low)) / (high - low)}%`;
    const rows = shown.scores.map((one) => {
      const track = node("div", { class: "sx-track", "aria-hidden": "true" });
      if (one.new != null) {
        const from = place(Math.min(one.old, one.new)),
          wide = (100 * Math.abs(one.new - one.old)) / (high - low);
        track.append(node("i", { class: "sx-span", style: `left: ${from}; width: ${wide}%` }));
      }
      track.append(node("i", { class: "sx-mark sx-before", style: `left: ${place(one.old)}` }));
      if (one.new != null) track.append(node("i", { class: "sx-mark sx-after", style: `left: ${place(one.new)}` }));
      return node(
        "tr",
        {},
        node("th", { scope: "row", text: one.label, title: one.direction }),
        node("td", { text: one.old.toFixed(2) }),
        node("td", { text: one.new == null ? "" : one.new.toFixed(2) }),
        node("td", { class: "sx-tracks" }, track),
        node("td", { class: "sx-words", text: one.words }),
      );
    });
    this.table.replaceChildren(
      node(
        "table",
        {},
        node(
          "thead",
          {},
          node(
            "tr",
            {},
            ...[["", "Score"], ["Now"], ["New"], ["", `${low} to ${high}`], ["Change"]].map(([text, label]) =>
              node("th", { scope: "col", text, "aria-label": label }),
            ),
          ),
        ),
        node("tbody", {}, ...rows),
      ),
      node("p", { class: "sx-unit", text: shown.unit }),
    );
  }
  state() {
    const busy = this.model.get("busy"),
      said = this.model.get("said"),
      run = this.model.get("run"),
      shown = this.model.get("shown");
    this.root.classList.toggle("sx-busy", Boolean(busy));
    this.root.setAttribute("aria-busy", String(Boolean(busy)));
    this.go.disabled = /^Drawing/.test(busy);
    this.adding.disabled = Boolean(busy) || run.going || !shown.new;
    this.running.disabled = run.going || !run.pending;
    this.running.textContent = run.pending && !run.going ? `Run for all sites (${run.pending})` : "Run for all sites";
    this.stop.hidden = this.bar.hidden = this.far.hidden = !run.going;
    this.stop.disabled = run.ending;
    this.bar.max = run.total || 1;
    if (run.total) this.bar.value = run.done;
    else this.bar.removeAttribute("value");
    this.far.textContent = run.ending
      ? "ending after this block …"
      : run.total
        ? `${run.done} of ${run.total} landscapes`
        : "loading …";
    this.line.textContent = busy ? `${busy} …` : [said.text, run.foreign].filter(Boolean).join(" ");
    this.line.classList.toggle("sx-error", Boolean(said.error) && !busy);
  }
}

export default {
  render({ model, el }) {
    const panel = new Panel(model, el);
    return () => panel.leave();
  },
};
