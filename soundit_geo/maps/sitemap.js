/* A cube of soundscapes on a Leaflet map: sites drawn on one canvas from columns, with controls, legend and panel.
   Everything that a user named is set through textContent or an attribute, never as HTML. */
(function () {
  "use strict";

  // Colour tables, dark to light; between two stops colours mix linearly in sRGB.
  // Sequential: after viridis (lightness rises evenly, readable without colour vision).
  const SEQUENTIAL = ["#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725"];
  // Diverging: orange to blue over near-white, safe for all common kinds of colour blindness.
  const DIVERGING = ["#8c3a00", "#c4620c", "#e7964a", "#f6c998", "#f4f1ea", "#b4cbe6", "#6f9ed2", "#3a6db4", "#1c3f84"];
  const PENDING = 0, DONE = 1, FAILED = 2;
  const VIEWS = [["a", "A"], ["b", "B"], ["difference", "A − B"], ["side by side", "Side by side"]];

  const LOOKS = {
    light: {
      land: "#f5f2ea", ring: "#ffffff", rim: "rgba(20,26,32,.55)", hollow: "#fffdf8", quiet: "#8b929a", alarm: "#b3261e", ink: "#15202b",
      sea: { fill: "#c8dde6", stroke: "#a9c7d3", weight: 1 },
      landmass: { fill: "#f5f2ea", stroke: "#d8d0c0", weight: 1 },
      district: { fill: "#efe9dc", fillOpacity: .55, stroke: "#cfc5b2", weight: 1, dash: "4 4" },
      river: { fill: "#c8dde6", stroke: "#b5d1dd", weight: 5 },
      park: { fill: "#d3e4c4", stroke: "#c0d6ae", weight: 1 },
      building: { fill: "#e4dccd", stroke: "#d6ccba", weight: .5 },
      road: { fill: "#ffffff", stroke: "#ffffff", weight: 3, casing: "#ddd4c3" },
      other: { fill: "#e8e2d4", stroke: "#c9bfad", weight: 1 },
    },
    dark: {
      land: "#1b1f23", ring: "#0c0f12", rim: "rgba(235,240,245,.6)", hollow: "#1b1f23", quiet: "#8b949d", alarm: "#ff8a80", ink: "#ffffff",
      sea: { fill: "#10222e", stroke: "#1d3645", weight: 1 },
      landmass: { fill: "#1b1f23", stroke: "#30373d", weight: 1 },
      district: { fill: "#22272c", fillOpacity: .6, stroke: "#3b434b", weight: 1, dash: "4 4" },
      river: { fill: "#10222e", stroke: "#15303f", weight: 5 },
      park: { fill: "#1d3127", stroke: "#284435", weight: 1 },
      building: { fill: "#282e34", stroke: "#333a41", weight: .5 },
      road: { fill: "#3a4249", stroke: "#3a4249", weight: 2.5, casing: "#14171a" },
      other: { fill: "#262b30", stroke: "#3a4149", weight: 1 },
    },
  };

  // ---------------------------------------------------------------- small tools
  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "text") node.textContent = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  function unpack(text, type) {
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new type(bytes.buffer);
  }

  const channels = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
  function mix(table, t) {
    const place = Math.min(Math.max(t, 0), 1) * (table.length - 1), k = Math.min(Math.floor(place), table.length - 2);
    const low = channels(table[k]), high = channels(table[k + 1]), share = place - k;
    return low.map((value, i) => Math.round(value + (high[i] - value) * share));
  }

  function niceStep(span, parts) {
    const rough = span / parts, power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 2.5, 5, 10].find((m) => m * power >= rough * 0.999) * power;
  }

  // A scale: from where to where, with which colours. Difference scales are centred on 0.
  function makeScale(columns, centred) {
    let low = Infinity, high = -Infinity;
    for (const column of columns) for (const value of column) if (value === value) { low = Math.min(low, value); high = Math.max(high, value); }
    if (low > high) return { low: 0, high: 1, ticks: [], table: centred ? DIVERGING : SEQUENTIAL, empty: true };
    if (centred) {
      const reach = Math.max(Math.abs(low), Math.abs(high)) || 1e-6, step = niceStep(reach, 2);
      const end = Math.ceil(reach / step - 1e-9) * step;
      return { low: -end, high: end, ticks: [-end, -end / 2, 0, end / 2, end], table: DIVERGING, step };
    }
    if (high - low < 1e-9) { const pad = Math.max(Math.abs(low) * .1, 1e-3); low -= pad; high += pad; }
    const step = niceStep(high - low, 4), first = Math.floor(low / step + 1e-9) * step, last = Math.ceil(high / step - 1e-9) * step;
    const ticks = [];
    for (let k = 0; first + k * step <= last + step * 1e-6; k++) ticks.push(first + k * step);
    return { low: first, high: last, ticks, table: SEQUENTIAL, step };
  }
  const colourOf = (scale, value) => mix(scale.table, (value - scale.low) / (scale.high - scale.low));
  const css = (rgb) => `rgb(${rgb.join(",")})`;

  function digitsFor(step) { return step ? Math.min(6, Math.max(0, -Math.floor(Math.log10(step * 1.0001)) + (String(+(step / 10 ** Math.floor(Math.log10(step))).toFixed(3)).includes(".") ? 1 : 0))) : 1; }
  function format(value, variable, digits, signed) {
    if (!(value === value)) return "–";
    const shown = variable.percent ? value * 100 : value;
    const text = Math.abs(shown).toFixed(digits);
    const sign = Number(text) === 0 ? "" : shown < 0 ? "−" : signed ? "+" : "";
    return sign + text + (variable.percent ? " %" : "");
  }

  // ---------------------------------------------------------------- the sites on one canvas
  const SiteLayer = L.Layer.extend({
    initialize: function (app, which) { this.app = app; this.which = which; },
    onAdd: function (map) {
      const pane = map.getPane("soundit-sites") || map.createPane("soundit-sites");
      pane.style.zIndex = 450;
      pane.style.pointerEvents = "none";
      this.canvas = el("canvas", { class: "leaflet-zoom-animated soundit-canvas", "aria-hidden": "true" });
      pane.append(this.canvas);
      this.redraw();
    },
    onRemove: function () { this.canvas.remove(); },
    getEvents: function () {
      return { move: this.redraw, moveend: this.redraw, resize: this.redraw, viewreset: this.redraw, zoomanim: this.animate };
    },
    animate: function (event) {
      const scale = this._map.getZoomScale(event.zoom), corner = this._map._latLngBoundsToNewLayerBounds(this.bounds, event.zoom, event.center).min;
      L.DomUtil.setTransform(this.canvas, corner, scale);
    },
    radius: function () {
      const many = this.app.count > 2000 ? 3.5 : this.app.count > 400 ? 5.5 : this.app.narrow ? 6.5 : 8;
      return Math.max(3, many + Math.min(3, Math.max(-2, (this._map.getZoom() - this.app.homeZoom) * .6)));
    },
    // Where each site is drawn, in pixels of the map's container; sites of one place fan out around it.
    points: function () {
      const app = this.app, map = this._map, radius = this.radius(), points = new Float64Array(app.count * 2);
      const zoom = map.getZoom(), origin = map.getPixelOrigin(), shift = map.layerPointToContainerPoint([0, 0]);
      for (let i = 0; i < app.count; i++) {
        const p = map.project([app.lat[i], app.lon[i]], zoom), fan = app.fan[i];
        points[2 * i] = p.x - origin.x + shift.x + fan[0] * radius;
        points[2 * i + 1] = p.y - origin.y + shift.y + fan[1] * radius;
      }
      return points;
    },
    redraw: function () {
      const map = this._map, app = this.app;
      if (!map || !map._loaded) return;
      const size = map.getSize(), pad = size.multiplyBy(.25).round(), ratio = window.devicePixelRatio || 1, canvas = this.canvas;
      const width = size.x + 2 * pad.x, height = size.y + 2 * pad.y;
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
        canvas.style.width = width + "px"; canvas.style.height = height + "px";
      }
      const corner = map.containerPointToLayerPoint(pad.multiplyBy(-1));
      L.DomUtil.setPosition(canvas, corner);
      this.bounds = L.latLngBounds(map.layerPointToLatLng(corner), map.layerPointToLatLng(corner.add([width, height])));
      const pen = canvas.getContext("2d", { willReadFrequently: false }), look = app.look, radius = this.radius();
      pen.setTransform(ratio, 0, 0, ratio, pad.x * ratio, pad.y * ratio);
      pen.clearRect(-pad.x, -pad.y, width, height);
      const points = this.drawn = this.points(), values = app.valuesOf(this.which), scale = app.scaleOf(this.which);
      pen.lineWidth = 1; pen.strokeStyle = look.rim;
      for (const group of app.groups) {  // leader lines from a shared place to its sites
        const i = group[0], x = points[2 * i] - app.fan[i][0] * radius, y = points[2 * i + 1] - app.fan[i][1] * radius;
        pen.beginPath();
        for (const k of group) { pen.moveTo(x, y); pen.lineTo(points[2 * k], points[2 * k + 1]); }
        pen.stroke();
        pen.beginPath(); pen.arc(x, y, 2.2, 0, 7); pen.fillStyle = look.rim; pen.fill();
      }
      const last = [];
      for (let i = 0; i < app.count; i++) {
        const x = points[2 * i], y = points[2 * i + 1];
        if (x < -pad.x || y < -pad.y || x > size.x + pad.x || y > size.y + pad.y) continue;
        if (i === app.state.site || i === app.hover) last.push(i);
        else this.dot(pen, i, x, y, radius, values[i], scale);
      }
      for (const i of last) this.dot(pen, i, points[2 * i], points[2 * i + 1], radius + 1.5, values[i], scale);
    },
    dot: function (pen, i, x, y, radius, value, scale) {
      const look = this.app.look, known = value === value;
      if (i === this.app.state.site) {
        pen.beginPath(); pen.arc(x, y, radius + 5, 0, 7); pen.strokeStyle = look.ink; pen.lineWidth = 2.5; pen.stroke();
        pen.beginPath(); pen.arc(x, y, radius + 3, 0, 7); pen.strokeStyle = look.ring; pen.lineWidth = 2; pen.stroke();
      }
      pen.beginPath(); pen.arc(x, y, radius, 0, 7);
      if (known) {
        pen.fillStyle = css(colourOf(scale, value)); pen.fill();
        pen.lineWidth = 1.6; pen.strokeStyle = look.ring; pen.stroke();
        pen.beginPath(); pen.arc(x, y, radius + 1.2, 0, 7); pen.lineWidth = .9; pen.strokeStyle = look.rim; pen.stroke();
        return;
      }
      const failed = this.app.stateOf(this.which, i) === FAILED;
      pen.fillStyle = look.hollow; pen.fill();
      pen.lineWidth = 2; pen.strokeStyle = failed ? look.alarm : look.quiet;
      pen.setLineDash(failed ? [] : [3, 3]); pen.stroke(); pen.setLineDash([]);
    },
    pick: function (point, slack) {
      const reach = (this.radius() + slack) ** 2;
      let best = -1, least = reach;
      for (let i = 0; i < this.app.count; i++) {
        const d = (this.drawn[2 * i] - point.x) ** 2 + (this.drawn[2 * i + 1] - point.y) ** 2;
        if (d <= least) { least = d; best = i; }
      }
      return best;
    },
  });

  // ---------------------------------------------------------------- the application around one map
  function App(map, id) {
    const data = JSON.parse(document.getElementById(id + "-data").textContent);
    this.id = id; this.data = data; this.map = map;
    this.mediaBlock = document.getElementById(id + "-media");
    this.count = data.sites.name.length;
    this.lon = unpack(data.sites.lon, Float64Array); this.lat = unpack(data.sites.lat, Float64Array);
    this.cellStates = data.state.map((text) => unpack(text, Uint8Array));
    this.columns = new Map();
    this.scales = new Map();
    this.state = { variable: data.variable, a: data.a, b: data.b, view: data.view, site: -1, draw: 0 };
    if (data.scenarios.length === 1) this.state.view = "a";
    this.hover = -1; this.homeZoom = 0; this.layers = []; this.bases = []; this.labels = []; this.touched = false;
    this.night = window.matchMedia ? window.matchMedia("(prefers-color-scheme: dark)") : { matches: false, addEventListener: () => {} };
    this.look = this.night.matches ? LOOKS.dark : LOOKS.light;
    this.gather();
    this.build();
  }

  App.prototype = {
    // Sites of one place, and how far each is moved from it, in radii.
    gather: function () {
      const places = new Map();
      for (let i = 0; i < this.count; i++) {
        const key = this.lon[i].toFixed(7) + " " + this.lat[i].toFixed(7);
        if (!places.has(key)) places.set(key, []);
        places.get(key).push(i);
      }
      this.fan = Array.from({ length: this.count }, () => [0, 0]);
      this.groups = [...places.values()].filter((group) => group.length > 1);
      this.groupOf = new Map();
      for (const group of this.groups) group.forEach((i, k) => {
        this.groupOf.set(i, group);
        const n = group.length, ring = n <= 10;
        const far = ring ? Math.max(1.5, 1.3 / Math.sin(Math.PI / n)) : 1.5 * Math.sqrt(k + 1.5);
        const angle = ring ? 2 * Math.PI * k / n - Math.PI / 2 : k * 2.399963;
        this.fan[i] = [far * Math.cos(angle), far * Math.sin(angle)];
      });
    },
    variable: function () { return this.data.variables[this.state.variable]; },
    column: function (scenario, variable) {
      const k = variable === undefined ? this.state.variable : variable, key = k + "/" + scenario;
      if (!this.columns.has(key)) this.columns.set(key, unpack(this.data.variables[k].values[scenario], Float32Array));
      return this.columns.get(key);
    },
    difference: function (variable) {
      const { a, b } = this.state, k = variable === undefined ? this.state.variable : variable, key = `${k}/${a}-${b}`;
      if (!this.columns.has(key)) {
        const first = this.column(a, k), second = this.column(b, k);
        this.columns.set(key, Float64Array.from(first, (value, i) => value - second[i]));
      }
      return this.columns.get(key);
    },
    valuesOf: function (which) { return which === "difference" ? this.difference() : this.column(this.state[which]); },
    scaleOf: function (which) {
      const centred = which === "difference", key = this.state.variable + (centred ? `/${this.state.a}-${this.state.b}` : "");
      if (!this.scales.has(key)) {
        const columns = centred ? [this.difference()] : this.data.scenarios.map((_, k) => this.column(k));
        this.scales.set(key, makeScale(columns, centred));
      }
      return this.scales.get(key);
    },
    stateOf: function (which, i) {
      const { a, b } = this.state;
      if (which !== "difference") return this.cellStates[this.state[which]][i];
      return Math.max(this.cellStates[a][i] === FAILED ? FAILED : PENDING, this.cellStates[b][i] === FAILED ? FAILED : PENDING);
    },
    prompt: function (scenario, i) {
      const codes = this.data.prompts.codes[scenario];
      return this.data.prompts.texts[Array.isArray(codes) ? codes[i] : codes];
    },
    media: function () {
      if (this.mediaCache === undefined) this.mediaCache = this.mediaBlock ? JSON.parse(this.mediaBlock.textContent) : null;
      return this.mediaCache;
    },
    digits: function (variable, scale, extra) {
      const step = (scale.step || .1) * (variable.percent ? 100 : 1);
      return digitsFor(step) + (extra || 0);
    },

    // ------------------------------------------------------------ building the page
    build: function () {
      const map = this.map, holder = map.getContainer(), root = this.root = el("div", { class: "soundit", id: this.id });
      const { width, height, position, left, top } = getComputedStyle(holder), whole = (size, all) => Math.abs(parseFloat(size) - all) < 1;
      root.style.width = whole(width, window.innerWidth) ? "100%" : width; root.style.height = whole(height, window.innerHeight) ? "100%" : height;
      if (position !== "static") Object.assign(root.style, { position, left, top });
      if (!document.documentElement.lang) document.documentElement.lang = "en";
      holder.replaceWith(root);
      this.maps = el("div", { class: "soundit-maps" }, holder);
      this.stage = el("div", { class: "soundit-stage" }, this.maps);
      this.panel = el("aside", { class: "soundit-panel", "aria-label": "Site", hidden: true, tabindex: "-1" });
      this.tip = el("div", { class: "soundit-tip", "aria-hidden": "true", hidden: true });
      this.status = el("div", { class: "soundit-unseen", role: "status" });
      this.legend = el("section", { class: "soundit-legend", "aria-label": "Legend" });
      this.stage.append(this.tip, this.status);
      root.append(this.buildCard(), this.legend, this.stage, this.panel, this.buildFoot());
      root.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && this.state.site >= 0) { this.close(); event.stopPropagation(); }
      });
      holder.setAttribute("role", "application"); holder.setAttribute("aria-label", "Map A");
      map.setMaxZoom(20);
      L.control.zoom({ position: "topright" }).addTo(map);
      L.control.scale({ position: "bottomright", imperial: false }).addTo(map);
      map.attributionControl.setPrefix(false);
      this.dress(map);
      this.layers.push(new SiteLayer(this, "a").addTo(map));
      this.listen(map, 0);
      this.night.addEventListener("change", () => this.repaint());
      new ResizeObserver(() => this.resize()).observe(root);
      this.resize();
      this.fit();
      map.on("dragstart zoomstart", () => { if (!this.fitting) this.touched = true; });
      this.show();
    },

    buildCard: function () {
      const data = this.data, one = data.scenarios.length === 1, id = this.id;
      const select = this.pickVariable = el("select", { id: id + "-variable", "aria-label": "Variable", onchange: (e) => this.set({ variable: +e.target.value }) });
      const groups = new Map();
      data.variables.forEach((variable, k) => {
        if (!groups.has(variable.group)) groups.set(variable.group, select.appendChild(el("optgroup", { label: variable.group })));
        groups.get(variable.group).append(el("option", { value: k, text: variable.label }));
      });
      const scenarioPicker = (letter) => {
        const key = letter.toLowerCase();
        const picker = el("select", { id: `${id}-${key}`, "aria-label": "Scenario " + letter, onchange: (e) => this.set({ [key]: +e.target.value }) });
        data.scenarios.forEach((name, k) => picker.append(el("option", { value: k, text: name })));
        this["pick" + letter] = picker;
        return el("label", { class: "soundit-row" }, el("span", { class: "soundit-badge soundit-" + key, text: letter }), picker);
      };
      this.viewInputs = new Map();
      const views = el("div", { class: "soundit-segments", role: "radiogroup", "aria-label": "View" });
      for (const [value, label] of VIEWS) {
        const input = el("input", { type: "radio", name: id + "-view", value, onchange: () => this.set({ view: value }) });
        this.viewInputs.set(value, input);
        views.append(el("label", {}, input, el("span", { text: label })));
      }
      const swap = el("button", { type: "button", class: "soundit-swap", "aria-label": "Swap A and B", title: "Swap A and B", text: "⇅",
        onclick: () => this.set({ a: this.state.b, b: this.state.a }) });
      this.search = el("input", { type: "search", placeholder: "Find a site", "aria-label": "Find a site", oninput: () => this.list() });
      this.rows = el("tbody");
      this.head = el("tr");
      this.more = el("p", { class: "soundit-more" });
      const table = el("table", { class: "soundit-sites" }, el("caption", { class: "soundit-unseen", text: "Sites and their values" }), el("thead", {}, this.head), this.rows);
      this.sites = el("details", { class: "soundit-list", ontoggle: () => this.list() },
        el("summary", { text: `Sites (${this.count})` }), this.search, el("div", { class: "soundit-scroll" }, table), this.more);
      this.fold = el("button", { type: "button", class: "soundit-fold", "aria-expanded": "true", "aria-controls": id + "-body", "aria-label": "Controls", text: "☰",
        onclick: () => this.foldCard(this.card.classList.contains("soundit-open")) });
      this.body = el("div", { class: "soundit-body", id: id + "-body" },
        one ? el("p", { class: "soundit-one", text: data.scenarios[0] }) : el("div", { class: "soundit-pair" }, scenarioPicker("A"), scenarioPicker("B"), swap),
        this.sites);
      this.card = el("section", { class: "soundit-card soundit-open", "aria-label": "Controls" },
        el("header", {}, el("h1", { text: data.title }), this.fold), select, one ? null : views, this.body);
      return this.card;
    },
    foldCard: function (shut) {
      this.card.classList.toggle("soundit-open", !shut);
      this.fold.setAttribute("aria-expanded", String(!shut));
    },
    buildFoot: function () {
      const { evidence, facts, stand_in } = this.data.provenance, foot = el("footer", { class: "soundit-foot" });
      if (evidence) foot.append(el("strong", { class: stand_in ? "soundit-standin" : "soundit-evidence", text: evidence }));
      facts.forEach((fact) => foot.append(el("span", { text: fact })));
      return foot;
    },

    // ------------------------------------------------------------ base layers
    dress: function (map) {
      const shapes = map.getPane("soundit-base") || map.createPane("soundit-base"), labels = map.createPane("soundit-labels");
      shapes.style.zIndex = 250; shapes.style.pointerEvents = "none";
      labels.style.zIndex = 350; labels.style.pointerEvents = "none";
      const renderer = L.canvas({ pane: "soundit-base", padding: .5 });
      for (const layer of this.data.base) {
        const lines = layer.features.some((f) => f.geometry && /Line/.test(f.geometry.type));
        const rounds = layer.kind === "road" && lines ? ["casing", "stroke"] : ["stroke"];
        for (const round of rounds) {
          const drawn = L.geoJSON(layer.features, { renderer, pane: "soundit-base", interactive: false, pointToLayer: (_, at) => L.circleMarker(at, { renderer, radius: 3, interactive: false }) });
          drawn.addTo(map);
          this.bases.push({ drawn, kind: layer.kind, round });
        }
        if (layer.kind === "district" || layer.kind === "park") for (const feature of layer.features) {
          const name = feature.properties && feature.properties.name;
          if (!name || !/Polygon/.test(feature.geometry.type)) continue;
          const middle = L.geoJSON(feature).getBounds().getCenter();
          const label = el("div", { class: `soundit-label soundit-label-${layer.kind}`, text: name });
          this.labels.push({ map, label, kind: layer.kind, bounds: L.geoJSON(feature).getBounds() });
          L.marker(middle, { pane: "soundit-labels", interactive: false, keyboard: false, icon: L.divIcon({ className: "soundit-anchor", html: label, iconSize: null }) }).addTo(map);
        }
      }
      map.on("zoomend viewreset", () => this.thin(map));
      this.paintBases();
      this.thin(map);
    },
    // Labels that do not fit into their polygon, or would lie on one another, are left out; districts go first.
    thin: function (map) {
      if (!map._loaded) return;
      const placed = [], first = (entry) => (entry.kind === "district" ? 0 : 1);
      for (const { map: owner, label, bounds } of [...this.labels].sort((a, b) => first(a) - first(b))) if (owner === map) {
        const west = map.latLngToLayerPoint(bounds.getSouthWest()), east = map.latLngToLayerPoint(bounds.getNorthEast());
        const middle = map.latLngToLayerPoint(bounds.getCenter()), wide = label.offsetWidth / 2 + 3, high = label.offsetHeight / 2 + 2;
        const clear = placed.every(([x, y, w, h]) => Math.abs(x - middle.x) > w + wide || Math.abs(y - middle.y) > h + high);
        const fits = clear && east.x - west.x > 2 * wide && west.y - east.y > 26;
        label.style.visibility = fits ? "visible" : "hidden";
        if (fits) placed.push([middle.x, middle.y, wide, high]);
      }
    },
    // A layer's own colour; in the dark only a tint of it, over the colour of its kind.
    own: function (colour, kind) {
      if (!colour || this.look !== LOOKS.dark) return colour || kind;
      if (!/^#[0-9a-f]{6}$/i.test(colour)) return kind;
      return css(channels(kind).map((value, k) => Math.round(value * .86 + channels(colour)[k] * .14)));
    },
    paintBases: function () {
      for (const { drawn, kind, round } of this.bases) {
        const look = this.look[kind === "land" ? "landmass" : kind] || this.look.other;
        drawn.setStyle((feature) => {
          const own = feature.properties || {}, line = /Line/.test(feature.geometry.type);
          const colour = round === "casing" ? look.casing : this.own(own.stroke, look.stroke), weight = line && own.width > 0 ? own.width : look.weight;
          return { color: colour, weight: line ? weight + (round === "casing" ? 2 : 0) : Math.min(weight, 1), opacity: 1, lineCap: "round", lineJoin: "round",
            fill: !line, fillColor: this.own(own.fill, look.fill), fillOpacity: look.fillOpacity || 1, dashArray: line ? null : look.dash || null };
        });
      }
      for (const map of [this.map, this.second]) if (map) map.getContainer().style.background = this.look.land;
    },
    repaint: function () {
      this.look = this.night.matches ? LOOKS.dark : LOOKS.light;
      this.paintBases();
      this.layers.forEach((layer) => layer.redraw());
    },

    // ------------------------------------------------------------ two maps in step
    listen: function (map, k) {
      map.on("mousemove", (event) => this.point(k, event));
      map.on("mouseout", () => this.unpoint());
      map.on("click", (event) => {
        const i = this.layers[k].pick(event.containerPoint, L.Browser.mobile ? 12 : 5);
        if (i >= 0) this.open(i); else if (this.state.site >= 0) this.close();
      });
    },
    bind: function (one, two) {
      const near = (map, centre, zoom) => map._loaded && map.getZoom() === zoom && map.project(map.getCenter(), zoom).distanceTo(map.project(centre, zoom)) < .5;
      one.on("zoomanim", (event) => {
        if (event.noUpdate || one.following || this.state.view !== "side by side") return;
        two.following = true;
        two.setView(event.center, event.zoom, { animate: true });
      });
      one.on("move zoomend moveend", () => {
        if (this.state.view !== "side by side" || one.following) return;
        if (one._animatingZoom) return;
        if (!near(two, one.getCenter(), one.getZoom())) { two.following = true; two.setView(one.getCenter(), one.getZoom(), { animate: false }); two.following = false; }
      });
      one.on("zoomend", () => { one.following = false; });
    },
    split: function () {
      if (!this.second) {
        this.side = el("div", { class: "soundit-second", role: "application", "aria-label": "Map B" });
        this.maps.append(this.side);
        this.maps.classList.add("soundit-split");
        this.map.invalidateSize({ animate: false });
        const second = this.second = L.map(this.side, { zoomControl: false, attributionControl: false, maxZoom: 20, zoomSnap: this.map.options.zoomSnap, center: this.map.getCenter(), zoom: this.map.getZoom() });
        this.map.eachLayer((layer) => { if (layer instanceof L.TileLayer) L.tileLayer(layer._url, layer.options).addTo(second); });
        this.dress(second);
        this.layers.push(new SiteLayer(this, "b").addTo(second));
        this.listen(second, 1);
        this.bind(this.map, second); this.bind(second, this.map);
        second.on("dragstart", () => { this.touched = true; });
        this.chips = [["a", this.map], ["b", second]].map(([key, map]) => {
          const chip = el("div", { class: "soundit-chip" }, el("span", { class: "soundit-badge soundit-" + key, text: key.toUpperCase() }), el("span", { class: "soundit-chipname" }));
          map.getContainer().append(chip);
          return chip;
        });
      }
    },
    resize: function () {
      const width = this.root.clientWidth, narrow = width < 720;
      this.root.classList.toggle("soundit-middle", !narrow && width < 1120);
      if (narrow !== this.narrow) {
        this.narrow = narrow;
        this.root.classList.toggle("soundit-narrow", narrow);
        this.foldCard(narrow);
        this.sites.open = !narrow;
      }
      this.settle();
    },
    settle: function () {
      for (const map of [this.map, this.second]) if (map && map.getContainer().offsetWidth) map.invalidateSize({ animate: false, pan: true });
      if (!this.touched) this.fit();
    },
    fit: function () {
      if (!this.map.getContainer().offsetWidth) return;
      const [south, north] = this.ends(this.lat), [west, east] = this.ends(this.lon), size = this.map.getSize();
      const twice = this.state.view === "side by side", edge = Math.min(this.narrow ? 26 : 48, size.x / 6, size.y / 6);
      this.fitting = true;
      this.map.fitBounds([[south, west], [north, east]], { animate: false, maxZoom: 16, paddingTopLeft: [edge, edge + (twice ? 22 : 0)], paddingBottomRight: [edge, edge] });
      this.homeZoom = this.map.getZoom();
      this.fitting = false;
      if (this.second && twice) this.second.setView(this.map.getCenter(), this.map.getZoom(), { animate: false });
    },
    ends: function (column) {
      let low = Infinity, high = -Infinity;
      for (const value of column) { low = Math.min(low, value); high = Math.max(high, value); }
      return [low, high];
    },

    // ------------------------------------------------------------ state
    set: function (change) { Object.assign(this.state, change); this.show(change); },
    show: function (change) {
      const { state, data } = this, twice = state.view === "side by side";
      this.pickVariable.value = state.variable;
      if (this.pickA) { this.pickA.value = state.a; this.pickB.value = state.b; this.viewInputs.get(state.view).checked = true; }
      if (twice) this.split();
      const was = this.maps.classList.contains("soundit-split");
      this.maps.classList.toggle("soundit-split", twice && !!this.second);
      this.root.classList.toggle("soundit-twice", twice);
      this.layers[0].which = twice ? "a" : state.view;
      if (twice) this.chips.forEach((chip, k) => { chip.lastChild.textContent = data.scenarios[k ? state.b : state.a]; });
      if (!change || "view" in change || was !== twice) this.settle();
      this.layers.forEach((layer, k) => { if (k === 0 || twice) layer.redraw(); });
      this.showLegend();
      this.list();
      if (state.site >= 0) this.fill();
    },
    showLegend: function () {
      const { state, data } = this, variable = this.variable(), apart = state.view === "difference", scale = this.scaleOf(apart ? "difference" : "a");
      const [A, B] = [data.scenarios[state.a], data.scenarios[state.b]], digits = this.digits(variable, scale);
      const whose = apart ? `${A} − ${B}` : state.view === "side by side" ? `${A} | ${B}` : data.scenarios[state[state.view]];
      const bar = el("div", { class: "soundit-bar" });
      bar.style.background = `linear-gradient(to right, ${scale.table.map((hex, k) => `${hex} ${(100 * k / (scale.table.length - 1)).toFixed(2)}%`).join(", ")})`;
      const ticks = el("div", { class: "soundit-ticks" });
      scale.ticks.forEach((value, k) => {
        const tick = el("span", { text: format(value, variable, apart ? Math.max(digits, this.digits(variable, { step: scale.high / 2 })) : digits, apart) });
        tick.style.left = 100 * (value - scale.low) / (scale.high - scale.low) + "%";
        if (k === 0) tick.className = "soundit-first"; else if (k === scale.ticks.length - 1) tick.className = "soundit-last";
        ticks.append(tick);
      });
      const words = apart
        ? el("p", { class: "soundit-words soundit-ends" }, el("span", {}, el("b", { class: "soundit-badge soundit-b", text: "B" }), " higher"), el("span", {}, "higher ", el("b", { class: "soundit-badge soundit-a", text: "A" })))
        : el("p", { class: "soundit-words", text: variable.scale });
      const holes = this.hollow(apart ? "difference" : state.view === "b" ? "b" : "a");
      this.legend.replaceChildren(
        el("h2", {}, el("span", { text: apart ? `${variable.label}, difference` : variable.label }), el("small", { text: whose })), bar, ticks, words,
        ...(holes ? [el("p", { class: "soundit-holes" }, el("i", {}), el("span", { text: holes }))] : []));
      this.legend.dataset.low = scale.low; this.legend.dataset.high = scale.high;
      this.status.textContent = `${variable.label}, ${whose}: from ${format(scale.low, variable, digits, apart)} to ${format(scale.high, variable, digits, apart)}. ${apart ? "" : variable.scale}`;
    },
    hollow: function (which) {
      const values = this.valuesOf(which);
      let failed = 0, empty = 0;
      for (let i = 0; i < this.count; i++) if (!(values[i] === values[i])) { if (this.stateOf(which, i) === FAILED) failed++; else empty++; }
      return [failed ? `${failed} failed` : "", empty ? `${empty} without a value` : ""].filter(Boolean).join(", ");
    },

    // ------------------------------------------------------------ the list of sites, a table
    list: function () {
      if (!this.sites.open) return;
      const { state, data } = this, variable = this.variable(), apart = state.view === "difference", twice = state.view === "side by side";
      const whiches = twice ? ["a", "b"] : [state.view], digits = this.digits(variable, this.scaleOf(apart ? "difference" : "a"), 1);
      this.head.replaceChildren(el("th", { scope: "col", text: "Site" }), ...whiches.map((which) => el("th", { scope: "col", text: which === "difference" ? "A − B" : which.toUpperCase() })));
      const wanted = this.search.value.trim().toLowerCase(), found = [];
      data.sites.name.forEach((name, i) => { if (!wanted || name.toLowerCase().includes(wanted)) found.push(i); });
      this.rows.replaceChildren(...found.slice(0, 300).map((i) => el("tr", { "data-site": i },
        el("th", { scope: "row" }, el("button", { type: "button", text: data.sites.name[i], onclick: () => this.open(i, true), onkeydown: (e) => this.step(e) })),
        ...whiches.map((which) => {
          const value = this.valuesOf(which)[i], cell = el("td", {}), known = value === value;
          const dot = el("i", { class: known ? "soundit-dot" : "soundit-dot soundit-none" });
          if (known) dot.style.background = css(colourOf(this.scaleOf(which), value));
          cell.append(dot, el("span", { text: known ? format(value, variable, digits, apart) : this.stateOf(which, i) === FAILED ? "failed" : "–" }));
          return cell;
        }))));
      this.mark();
      this.more.textContent = found.length > 300 ? `The first 300 of ${found.length}; type to find others.` : found.length ? "" : "No site of that name.";
    },
    mark: function () {
      for (const row of this.rows.children) {
        const chosen = +row.dataset.site === this.state.site;
        row.classList.toggle("soundit-chosen", chosen);
        row.querySelector("button").toggleAttribute("aria-current", chosen);
      }
    },
    step: function (event) {
      const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!way) return;
      const buttons = [...this.rows.querySelectorAll("button")], next = buttons[buttons.indexOf(event.target) + way];
      if (next) next.focus();
      event.preventDefault();
    },

    // ------------------------------------------------------------ pointing
    point: function (k, event) {
      const i = this.layers[k].pick(event.containerPoint, 4);
      this.layers[k]._map.getContainer().classList.toggle("soundit-hand", i >= 0);
      if (i !== this.hover) { this.hover = i; this.layers.forEach((layer) => layer.redraw()); }
      this.tip.hidden = i < 0;
      if (i < 0) return;
      const which = this.layers[k].which, variable = this.variable(), scale = this.scaleOf(which), value = this.valuesOf(which)[i];
      const text = value === value ? format(value, variable, this.digits(variable, scale, 1), which === "difference") : this.stateOf(which, i) === FAILED ? "failed" : "no value";
      this.tip.replaceChildren(el("b", { text: this.data.sites.name[i] }), el("span", { text }));
      const box = this.stage.getBoundingClientRect(), at = this.layers[k]._map.getContainer().getBoundingClientRect();
      const x = at.left - box.left + event.containerPoint.x, y = at.top - box.top + event.containerPoint.y;
      this.tip.style.left = Math.min(x, box.width - this.tip.offsetWidth - 20) + 14 + "px"; this.tip.style.top = Math.max(4, y - 38) + "px";
    },
    unpoint: function () {
      this.tip.hidden = true;
      if (this.hover >= 0) { this.hover = -1; this.layers.forEach((layer) => layer.redraw()); }
    },

    // ------------------------------------------------------------ the panel of a site
    open: function (i, byKey) {
      if (this.panel.hidden) this.back = document.activeElement;
      this.state.site = i;
      this.panel.hidden = false;
      this.root.classList.add("soundit-reading");
      this.tip.hidden = true;
      this.fill();
      const touched = this.touched;
      this.touched = true; this.settle(); this.touched = touched;
      if (byKey) this.panel.querySelector(".soundit-close").focus();
      this.reveal(i);
      this.layers.forEach((layer) => layer.redraw());
      this.mark();
    },
    // Move the map where the panel would hide the site.
    reveal: function (i) {
      const shown = [this.map, this.second].filter((map) => map && map.getContainer().offsetWidth), panel = this.panel.getBoundingClientRect();
      shown.forEach((map, k) => {
        const box = map.getContainer().getBoundingClientRect(), right = 30 + Math.max(0, box.right - Math.max(panel.left, box.left)) * !this.narrow;
        const below = 30 + (this.narrow ? Math.max(0, box.bottom - Math.max(panel.top, box.top)) : 0);
        if (k === 0 || this.state.view !== "side by side") map.panInside([this.lat[i], this.lon[i]], { paddingTopLeft: [30, 30], paddingBottomRight: [Math.min(right, box.width - 60), Math.min(below, box.height - 60)], animate: false });
      });
    },
    close: function () {
      const i = this.state.site;
      this.state.site = -1;
      this.panel.hidden = true; this.panel.replaceChildren();
      this.root.classList.remove("soundit-reading");
      this.settle();
      this.layers.forEach((layer) => layer.redraw());
      this.mark();
      const back = this.back && this.rows.contains(this.back) ? this.rows.querySelector(`tr[data-site="${i}"] button`) || this.back : this.back;
      if (back && back.isConnected && back !== document.body) back.focus();
    },
    fill: function () {
      const { state, data } = this, i = state.site, media = this.media(), pair = state.a === state.b ? [["A", state.a]] : [["A", state.a], ["B", state.b]];
      const kept = this.panel.querySelector("audio"), same = kept && this.filled === i ? kept : null, focus = document.activeElement && this.panel.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      const go = (way) => this.open((i + way + this.count) % this.count, true);
      const button = (key, text, label, act) => el("button", { type: "button", class: "soundit-" + key, "data-key": key, "aria-label": label, title: label, text, onclick: act });
      const parts = [el("header", {}, el("h2", { text: data.sites.name[i] }), el("nav", {},
        button("before", "‹", "Previous site", () => { go(-1); this.refocus("before"); }), button("after", "›", "Next site", () => { go(1); this.refocus("after"); }), button("close", "×", "Close", () => this.close())))];
      const group = this.groupOf.get(i);
      if (group) parts.push(el("p", { class: "soundit-here" }, el("span", { text: `${group.length} sites at this place: ` }),
        ...group.map((k) => el("button", { type: "button", "aria-pressed": String(k === i), text: data.sites.name[k], onclick: () => this.open(k, true) }))));
      const message = data.sites.message[i];
      if (message) parts.push(el("p", { class: "soundit-message", role: "alert" }, el("b", { text: "Failed. " }), el("span", { text: message })));
      parts.push(this.pictures(i, pair, media));
      if (media) parts.push(this.sound(i, media, same));
      parts.push(this.scores(i, pair));
      this.panel.replaceChildren(...parts.filter(Boolean));
      if (this.filled !== i) this.panel.scrollTop = 0;
      this.filled = i;
      if (focus) this.refocus(focus);
      this.panel.onkeydown = (event) => {
        if (event.target.closest("audio, input, select")) return;
        if (event.key === "ArrowRight" || event.key === "ArrowLeft") { go(event.key === "ArrowRight" ? 1 : -1); event.preventDefault(); }
      };
    },
    refocus: function (key) { const node = this.panel.querySelector(`[data-key="${key}"]`); if (node) node.focus(); },
    pictures: function (i, pair, media) {
      const { data, state } = this, box = el("section", { class: "soundit-pictures", "aria-label": "Landscapes" });
      const frame = el("div", { class: "soundit-frames" });
      const any = pair.some(([, scenario]) => this.cellStates[scenario][i] === DONE);
      for (const [letter, scenario] of pair) {
        const uri = media && media.pictures[scenario][state.draw][i], words = this.prompt(scenario, i), scene = this.scene(scenario, i);
        const caption = el("figcaption", {}, el("b", {}, el("span", { class: "soundit-badge soundit-" + letter.toLowerCase(), text: letter }), " ", el("span", { text: data.scenarios[scenario] })),
          el("span", { class: "soundit-prompt", text: words ? `“${words}”` : "the sound alone" }), scene ? el("span", { class: "soundit-scene", text: scene }) : null);
        const gap = !any ? "" : this.cellStates[scenario][i] === FAILED ? "failed" : this.cellStates[scenario][i] === PENDING ? "not drawn yet" : media ? "no picture" : "";
        frame.append(el("figure", {}, uri ? el("img", { src: uri, alt: `Landscape of ${data.sites.name[i]}, ${data.scenarios[scenario]}, draw ${data.draws[state.draw] + 1}` }) : gap ? el("div", { class: "soundit-gap", text: gap }) : null, caption));
      }
      const photo = media && media.photos[i];
      box.append(frame);
      if (media && any && data.draws.length > 1) {
        const draws = el("div", { class: "soundit-segments soundit-draws", role: "radiogroup", "aria-label": "Draw" }, el("em", { text: "Draw" }));
        data.draws.forEach((draw, k) => draws.append(el("label", {}, el("input", { type: "radio", name: this.id + "-draw", value: k, checked: k === state.draw, "data-key": "draw" + k, onchange: () => { state.draw = k; this.fill(); } }), el("span", { text: draw + 1 }))));
        box.append(draws);
      }
      if (photo) box.append(el("figure", { class: "soundit-photo" }, el("img", { src: photo, alt: `Photo of ${data.sites.name[i]}` }), el("figcaption", {}, el("b", { text: "Photo of the place" }))));
      return box;
    },
    scene: function (scenario, i) {
      const scene = this.data.scene, draw = this.state.draw, key = `scene/${scenario}/${draw}`;
      if (!this.columns.has(key)) this.columns.set(key, [unpack(scene.class[scenario][draw], Int16Array), unpack(scene.probability[scenario][draw], Float32Array)]);
      const [classes, chances] = this.columns.get(key);
      if (classes[i] < 0) return "";
      const sure = chances[i] === chances[i] ? `, ${Math.round(chances[i] * 100)} %` : "";
      return `seen as ${scene.names[classes[i]].replace(/_/g, " ")}${sure}`;
    },
    sound: function (i, media, same) {
      const uri = media.sounds[i], note = media.notes[i];
      if (!uri && !note) return null;
      const player = uri ? same || el("audio", { controls: true, preload: "metadata", src: uri, "aria-label": `Soundscape of ${this.data.sites.name[i]}` }) : null;
      return el("section", { class: "soundit-sound", "aria-label": "Sound" }, el("h3", { text: "Soundscape" }), player, note ? el("p", { class: "soundit-note", text: note }) : null);
    },
    scores: function (i, pair) {
      const { data } = this, two = pair.length === 2;
      if (pair.every(([, scenario]) => this.cellStates[scenario][i] !== DONE)) return null;
      const block = (title, group, top) => {
        const body = el("tbody");
        data.variables.forEach((variable, k) => {
          if (variable.group !== group) return;
          const values = pair.map(([, scenario]) => this.column(scenario, k)[i]), [from, to] = [variable.reach[0], top || variable.reach[1]];
          const bars = el("td", { class: "soundit-bars" });
          values.forEach((value, n) => {
            const bar = el("i", { class: "soundit-" + pair[n][0].toLowerCase() });
            bar.style.width = (value === value ? Math.max(0, Math.min(1, (value - from) / (to - from))) * 100 : 0) + "%";
            bars.append(bar);
          });
          const digits = variable.percent ? 0 : to - from > 2 ? 1 : 2;
          body.append(el("tr", { class: k === this.state.variable ? "soundit-chosen" : null }, el("th", { scope: "row", text: variable.label, title: variable.scale }), bars,
            ...values.map((value) => el("td", { text: format(value, variable, digits) })), two ? el("td", { class: "soundit-change", text: format(values[0] - values[1], variable, digits, true) }) : null));
        });
        if (!body.children.length) return null;
        return el("table", { class: "soundit-scores" }, el("thead", {}, el("tr", {}, el("th", { scope: "col", text: title }), el("td", {}),
          ...pair.map(([letter]) => el("th", { scope: "col" }, el("span", { class: "soundit-badge soundit-" + letter.toLowerCase(), text: letter }))), two ? el("th", { scope: "col", text: "A − B" }) : null)), body);
      };
      return el("section", { class: "soundit-tables", "aria-label": "Scores, means over draws" },
        block(`Perception, ${data.variables[0].reach.join("–")}`, "Perception"), block("Share of the picture", "Urban indicators", this.greatest("Urban indicators")), block("Likeness to the photo", "Likeness to the photo (PSS)"));
    },
  };

  Object.assign(App.prototype, {
    // The greatest value of a group of variables, so that bars of one group compare from site to site.
    greatest: function (group) {
      let most = 0;
      this.data.variables.forEach((variable, k) => {
        if (variable.group === group) this.data.scenarios.forEach((_, scenario) => { for (const value of this.column(scenario, k)) if (value > most) most = value; });
      });
      return most || 1;
    },
  });

  window.soundit = {
    apps: [],
    SEQUENTIAL, DIVERGING,
    start: function (map, id) { const app = new App(map, id); this.apps.push(app); return app; },
  };
})();
