// One map with all its parts, and the state that they share.

class App {
  constructor(map, id) {
    const data = (this.data = new Data(id));
    this.id = id;
    this.map = map;
    this.second = null;
    this.state = {
      variable: data.place(data.variable),
      quantity: "value",
      a: data.a,
      b: data.b,
      view: data.scenarios.length === 1 ? "a" : data.view,
      layer: "points",
      size: 0,
      mask: false,
      filter: null,
      swipe: 0.5,
      draw: 0,
      site: -1,
    };
    this.first = { ...this.state };
    this.hover = -1;
    this.homeZoom = 0;
    this.layers = [];
    this.touched = this.ready = false;
    this.kept = new Map();
    this.lat = data.lat;
    this.lon = data.lon;
    this.night = window.matchMedia("(prefers-color-scheme: dark)");
    this.theme = null;
    this.gather();
    this.base = new Base(this);
    this.table = new SiteTable(this);
    this.legend = new Legend(this);
    this.panel = new Panel(this);
    this.sharing = new Sharing(this);
    this.controls = new Controls(this);
    this.build();
  }

  // ---------------------------------------------------------------- what is shown
  variable() {
    return this.data.variables[this.state.variable];
  }
  maps() {
    return this.second && this.state.view === "side by side" ? [this.map, this.second] : [this.map];
  }
  whiches() {
    const { view } = this.state;
    return view === "side by side" || view === "swipe" ? ["a", "b"] : [view];
  }
  keyOf(which) {
    const { state } = this;
    return [state.variable, state.quantity, which === "difference" ? `${state.a}-${state.b}` : state[which]].join();
  }
  once(key, make) {
    if (this.kept.size > 200) this.kept.clear();
    if (!this.kept.has(key)) this.kept.set(key, make());
    return this.kept.get(key);
  }
  shown(which) {
    return this.once("shown/" + this.keyOf(which), () => {
      const { data, state } = this,
        k = state.variable,
        variable = this.variable(),
        apart = which === "difference";
      if (variable.classes) {
        const order = data.classOrder(),
          level = (id) => Math.min(order.indexOf(id), CLASSES.length);
        return {
          values: apart ? data.difference(k, state.a, state.b) : data.column(k, state[which]),
          scale: null,
          colours: [...CLASSES, OTHERS],
          level,
          quiet: apart,
        };
      }
      let values, scale;
      if (state.quantity === "error") {
        const change = apart && data.change(k, state.a, state.b),
          none = () => new Float64Array(data.count).fill(NaN);
        values = (apart ? change && change.error : data.error(k, state[which])) || none();
        const [, top] = apart ? ends(values) : [0, variable.errors.top];
        scale = makeScale(0, top, UNCERTAIN, false);
      } else if (apart) {
        values = data.difference(k, state.a, state.b);
        scale = makeScale(...ends(values), DIVERGING, true);
      } else {
        values = data.column(k, state[which]);
        const any = data.scenarios.some((_, scenario) => data.column(k, scenario).some(known));
        scale = any
          ? makeScale(variable.low, variable.low + variable.step * 65534, SEQUENTIAL, false)
          : makeScale(1, 0, SEQUENTIAL, false);
      }
      return {
        values,
        scale,
        colours: ramp(scale.table).map(css),
        level: (value) => levelOf(scale, value),
        quiet: false,
      };
    });
  }
  tested() {
    const { state, data } = this;
    return this.variable().classes || state.a === state.b ? null : data.change(state.variable, state.a, state.b);
  }
  within(value) {
    const { filter } = this.state;
    return !filter || (this.variable().classes ? filter.includes(value) : value >= filter[0] && value <= filter[1]);
  }
  visible(which) {
    // 1 = drawn in full, 0 = put aside
    const { state, data } = this,
      masked = state.mask && which === "difference" && state.quantity === "value" && this.tested();
    return this.once(
      ["visible", this.keyOf(which), Boolean(masked), state.filter ? state.filter.join("~") : ""].join("/"),
      () => {
        const flags = new Uint8Array(data.count).fill(1),
          { values } = this.shown(which);
        if (state.filter) for (let i = 0; i < data.count; i++) flags[i] = this.within(values[i]) ? 1 : 0;
        if (masked) for (let i = 0; i < data.count; i++) flags[i] &= masked.sure[i];
        return flags;
      },
    );
  }
  remaining() {
    const flags = this.whiches().map((which) => this.visible(which));
    let count = 0;
    for (let i = 0; i < this.data.count; i++) if (flags.some((one) => one[i])) count++;
    return count;
  }
  means(which) {
    // over the places of visible sites in each hexagon, sites of one place averaged first; of classes, the commonest
    const { state, data } = this,
      visible = this.visible(which),
      { values } = this.shown(which);
    return this.once(
      ["means", state.size, this.keyOf(which), state.mask, state.filter ? state.filter.join("~") : ""].join("/"),
      () => {
        const hexes = data.hexes(state.size),
          sums = new Float64Array(hexes.count),
          weights = new Float64Array(hexes.count),
          counts = new Uint32Array(hexes.count);
        const share = (i) => {
          const group = this.groupOf.get(i);
          return group ? 1 / group.filter((k) => visible[k] && known(values[k])).length : 1;
        };
        const votes = this.variable().classes ? Array.from({ length: hexes.count }, () => new Map()) : null;
        for (let i = 0; i < data.count; i++) {
          if (!visible[i] || !known(values[i])) continue;
          const cell = hexes.cell[i],
            weight = share(i);
          counts[cell]++;
          weights[cell] += weight;
          sums[cell] += weight * values[i];
          if (votes) votes[cell].set(values[i], (votes[cell].get(values[i]) || 0) + 1);
        }
        const means = sums.map((sum, k) =>
          counts[k] ? (votes ? [...votes[k]].sort((one, two) => two[1] - one[1])[0][0] : sum / weights[k]) : NaN,
        );
        return { hexes, values: means, counts };
      },
    );
  }
  grid(which) {
    const { state, data } = this;
    if (state.quantity === "error" || this.variable().classes) return null;
    return which === "difference"
      ? data.surface(state.variable, state.a, state.b)
      : data.surface(state.variable, state[which]);
  }
  stateOf(which, i) {
    const { a, b } = this.state,
      { states } = this.data;
    if (which !== "difference") return states[this.state[which]][i];
    return states[a][i] === FAILED || states[b][i] === FAILED ? FAILED : PENDING;
  }
  digits(extra) {
    const scale = this.shown(this.whiches()[0]).scale;
    return scale ? digitsFor((scale.step || 0.1) * (this.variable().percent ? 100 : 1)) + (extra || 0) : 0;
  }
  heading() {
    const { state } = this,
      { label } = this.variable();
    return (
      label + (state.view === "difference" ? ", difference" : "") + (state.quantity === "error" ? ", uncertainty" : "")
    );
  }
  whose() {
    const { state, data } = this,
      names = data.scenarios;
    return state.view === "difference"
      ? `${names[state.a]} − ${names[state.b]}`
      : this.whiches().length === 2
        ? `${names[state.a]} | ${names[state.b]}`
        : names[state[state.view]];
  }

  // ---------------------------------------------------------------- building the page
  gather() {
    // sites of one place, and how far each is moved from it, in radii
    const { data } = this,
      meridians = new Map(),
      places = new Map();
    for (let i = 0; i < data.count; i++) {
      const group = meridians.get(data.lon[i]);
      if (group) group.push(i);
      else meridians.set(data.lon[i], [i]);
    }
    for (const group of meridians.values())
      if (group.length > 1)
        for (const i of group) {
          const key = data.lon[i] + " " + data.lat[i];
          if (places.has(key)) places.get(key).push(i);
          else places.set(key, [i]);
        }
    this.groups = [...places.values()].filter((group) => group.length > 1);
    this.groupOf = new Map();
    this.fans = new Map();
    for (const group of this.groups)
      group.forEach((i, k) => {
        const n = group.length,
          ring = n <= 10,
          far = ring ? Math.max(1.5, 1.3 / Math.sin(Math.PI / n)) : 1.5 * Math.sqrt(k + 1.5),
          angle = ring ? (2 * Math.PI * k) / n - Math.PI / 2 : k * 2.399963;
        this.groupOf.set(i, group);
        this.fans.set(i, [far * Math.cos(angle), far * Math.sin(angle)]);
      });
  }
  build() {
    const { map, id } = this,
      holder = map.getContainer(),
      root = (this.root = el("div", { class: "soundit", id }));
    const { width, height, position, left, top } = getComputedStyle(holder),
      whole = (size, all) => Math.abs(parseFloat(size) - all) < 1;
    root.style.width = whole(width, window.innerWidth) ? "100%" : width;
    root.style.height = whole(height, window.innerHeight) ? "100%" : height;
    if (position !== "static") Object.assign(root.style, { position, left, top });
    if (!document.documentElement.lang) document.documentElement.lang = "en";
    holder.replaceWith(root);
    this.frame = el("div", { class: "soundit-maps" }, holder);
    this.edge = el(
      "div",
      {
        class: "soundit-edge",
        role: "slider",
        tabindex: "0",
        "aria-label": "Edge between A and B",
        "aria-valuemin": 0,
        "aria-valuemax": 100,
        onkeydown: (e) => this.moveEdge(e),
        onpointerdown: (e) => this.dragEdge(e),
      },
      el("i"),
    );
    this.stage = el("main", { class: "soundit-stage" }, this.frame, this.edge);
    this.tip = el("div", { class: "soundit-tip", "aria-hidden": "true", hidden: true });
    this.status = el("div", { class: "soundit-unseen", role: "status" });
    this.stage.append(this.tip, this.status);
    root.append(this.controls.node, this.legend.node, this.stage, this.panel.node, this.foot());
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.state.site >= 0) {
        this.panel.close();
        event.stopPropagation();
      }
    });
    holder.setAttribute("role", "application");
    holder.setAttribute("aria-label", "Map");
    map.setMaxZoom(20);
    const zoom = L.control.zoom({ position: "topright" }).addTo(map).getContainer();
    const home = el(
      "a",
      {
        href: "#",
        role: "button",
        title: "All sites",
        "aria-label": "All sites",
        onclick: (e) => {
          e.preventDefault();
          e.stopPropagation();
          this.touched = false;
          this.fit();
          this.remember();
        },
      },
      icon("home"),
    );
    zoom.append(home);
    L.control.scale({ position: "bottomright", imperial: false }).addTo(map);
    map.attributionControl.setPrefix(false);
    this.dark = this.night.matches;
    this.look = this.dark ? LOOKS.dark : LOOKS.light;
    this.base.dress(map);
    this.layers.push(new SiteLayer(this, "a").addTo(map));
    this.listen(map, 0);
    this.chip(map, "A");
    this.setTheme(null);
    this.night.addEventListener("change", () => this.setTheme(this.theme));
    new ResizeObserver(() => this.resize()).observe(root);
    this.resize();
    this.fit();
    map.on("dragstart zoomstart", () => {
      if (!this.fitting) this.touched = true;
    });
    map.on("moveend", () => this.remember());
    soundit.apps.push(this);
    this.ready = true;
    if (window.top === window && location.hash.length > 1) this.sharing.read();
    else this.show("all");
    window.addEventListener("hashchange", () => {
      if (location.hash !== this.sharing.hash()) this.sharing.read();
    });
  }
  foot() {
    const { evidence, facts, stand_in } = this.data.provenance,
      foot = el("footer", { class: "soundit-foot" });
    if (evidence)
      foot.append(el("strong", { class: stand_in ? "soundit-standin" : "soundit-evidence", text: evidence }));
    facts.forEach((fact) => foot.append(el("span", { text: fact })));
    return foot;
  }
  setTheme(theme) {
    this.theme = theme;
    this.dark = theme ? theme === "dark" : this.night.matches;
    this.look = this.dark ? LOOKS.dark : LOOKS.light;
    this.root.classList.toggle("soundit-dark", this.dark);
    this.base.paint();
    this.repaint();
    if (this.legend.scale && !this.variable().classes) this.legend.draw();
  }

  // ---------------------------------------------------------------- one map, two in step, or a swipe
  listen(map, k) {
    map.on("mousemove", (event) => this.point(k, event));
    map.on("mouseout", () => this.unpoint());
    map.on("click", (event) => {
      if (this.state.layer === "hexagons") {
        this.point(k, event);
        if (this.state.site >= 0) this.panel.close();
        return;
      }
      const i = this.layers[k].pick(event.containerPoint, L.Browser.mobile ? 12 : 5);
      if (i >= 0) this.panel.open(i);
      else if (this.state.site >= 0) this.panel.close();
    });
  }
  chip(map, letter) {
    const chip = el(
      "div",
      { class: "soundit-chip soundit-chip-" + letter.toLowerCase() },
      badge(letter),
      el("span", { class: "soundit-chipname" }),
    );
    (this.chips = this.chips || []).push(chip);
    map.getContainer().append(chip);
  }
  bind(one, two) {
    const near = (map, centre, zoom) =>
      map._loaded &&
      map.getZoom() === zoom &&
      map.project(map.getCenter(), zoom).distanceTo(map.project(centre, zoom)) < 0.5;
    one.on("zoomanim", (event) => {
      if (event.noUpdate || one.following || this.state.view !== "side by side") return;
      two.following = true;
      two.setView(event.center, event.zoom, { animate: true });
    });
    one.on("move zoomend moveend", () => {
      if (this.state.view !== "side by side" || one.following || one._animatingZoom) return;
      if (!near(two, one.getCenter(), one.getZoom())) {
        two.following = true;
        two.setView(one.getCenter(), one.getZoom(), { animate: false });
        two.following = false;
      }
    });
    one.on("zoomend", () => {
      one.following = false;
    });
  }
  split() {
    if (this.second) return;
    const side = el("div", { class: "soundit-second", role: "application", "aria-label": "Map of B" });
    this.frame.append(side);
    this.frame.classList.add("soundit-split");
    this.map.invalidateSize({ animate: false });
    const second = (this.second = L.map(side, {
      zoomControl: false,
      attributionControl: false,
      maxZoom: 20,
      zoomSnap: this.map.options.zoomSnap,
      center: this.map.getCenter(),
      zoom: this.map.getZoom(),
    }));
    this.mirror = new Mirror(this.map, second);
    this.base.dress(second);
    this.layers.push(new SiteLayer(this, "b").addTo(second));
    this.listen(second, 1);
    this.bind(this.map, second);
    this.bind(second, this.map);
    second.on("dragstart", () => {
      this.touched = true;
    });
    if (!this.chips[1]) this.chip(second, "B");
  }
  moveEdge(event) {
    const way = { ArrowRight: 0.02, ArrowUp: 0.02, ArrowLeft: -0.02, ArrowDown: -0.02, Home: -1, End: 1 }[event.key];
    if (!way) return;
    this.swipe(this.state.swipe + way);
    event.preventDefault();
  }
  dragEdge(event) {
    const box = this.stage.getBoundingClientRect();
    this.edge.setPointerCapture(event.pointerId);
    this.edge.onpointermove = (e) => this.swipe((e.clientX - box.left) / box.width);
    this.edge.onpointerup = () => {
      this.edge.onpointermove = this.edge.onpointerup = null;
    };
    event.stopPropagation();
  }
  swipe(part) {
    const at = (this.state.swipe = Math.min(1, Math.max(0, part)));
    this.edge.style.left = at * 100 + "%";
    this.edge.setAttribute("aria-valuenow", Math.round(at * 100));
    this.edge.setAttribute("aria-valuetext", `${Math.round(at * 100)} % A, the rest B`);
    this.repaint();
    this.remember();
  }
  resize() {
    const width = this.root.clientWidth,
      narrow = width < 720;
    this.legend.measured = null;
    this.root.classList.toggle("soundit-middle", !narrow && width < 1160);
    if (narrow !== this.narrow) {
      this.narrow = narrow;
      this.root.classList.toggle("soundit-narrow", narrow);
      this.controls.open(!narrow);
      this.table.node.open = !narrow;
    }
    this.settle();
  }
  settle(still) {
    for (const map of this.maps())
      if (map.getContainer().offsetWidth) map.invalidateSize({ animate: false, pan: true });
    if (!this.touched && !still) this.fit();
  }
  fit() {
    const { map, data } = this;
    if (!map.getContainer().offsetWidth) return;
    const [south, north] = ends(data.lat),
      [west, east] = ends(data.lon),
      size = map.getSize();
    const twice = this.state.view === "side by side",
      edge = Math.min(this.narrow ? 26 : 48, size.x / 6, size.y / 6);
    this.fitting = true;
    map.fitBounds(
      [
        [south, west],
        [north, east],
      ],
      {
        animate: false,
        maxZoom: 16,
        paddingTopLeft: [edge, edge + (twice ? 22 : 0)],
        paddingBottomRight: [edge, edge],
      },
    );
    this.homeZoom = map.getZoom();
    this.fitting = false;
    if (this.second && twice) this.second.setView(map.getCenter(), map.getZoom(), { animate: false });
  }

  // ---------------------------------------------------------------- state
  set(change, what) {
    const { state, data } = this,
      before = { ...state };
    Object.assign(state, change);
    if (!data.variables[state.variable].errors) state.quantity = "value";
    if (state.layer === "surface" && !data.surfaces[data.variables[state.variable].key]) state.layer = "points";
    const moved =
      ["variable", "quantity"].some((key) => state[key] !== before[key]) ||
      (state.view === "difference") !== (before.view === "difference") ||
      (state.view === "difference" && ["a", "b"].some((key) => state[key] !== before[key]));
    if (moved && !("filter" in change)) state.filter = null;
    this.show(what || ("view" in change ? "view" : "data"));
    this.remember();
  }
  show(what) {
    const { state, data } = this,
      twice = state.view === "side by side";
    if (what === "panel") {
      this.panel.update();
      return;
    }
    if (what === "filter") {
      this.legend.read();
      this.table.shown = PAGE;
      this.table.update();
      this.repaint();
      return;
    }
    if (twice) this.split();
    this.frame.classList.toggle("soundit-split", twice);
    this.root.classList.toggle("soundit-twice", this.whiches().length === 2);
    this.root.classList.toggle("soundit-named", Boolean(this.variable().classes));
    this.edge.hidden = state.view !== "swipe";
    this.edge.style.left = state.swipe * 100 + "%";
    this.edge.setAttribute("aria-valuenow", Math.round(state.swipe * 100));
    this.layers[0].which = twice || state.view === "swipe" ? "a" : state.view;
    if (!this.chips[1] && state.view === "swipe") this.chip(this.map, "B");
    this.chips.forEach((chip, k) => {
      chip.lastChild.textContent = data.scenarios[k ? state.b : state.a];
    });
    if (this.second && this.chips[1]) (twice ? this.second : this.map).getContainer().append(this.chips[1]);
    if (what === "all" || what === "view") this.settle();
    this.root.classList.toggle("soundit-covered", state.layer !== "points");
    for (const map of this.maps()) map.getPane("soundit-labels").style.zIndex = state.layer === "points" ? 350 : 460;
    this.controls.update();
    this.table.shown = PAGE;
    this.table.update();
    this.repaint();
    this.legend.update();
    this.panel.update();
    const scale = this.shown(this.whiches()[0]).scale,
      digits = this.digits();
    const ends = scale && [scale.low, scale.high].map((value) => format(value, this.variable(), digits));
    const reach = ends ? `: from ${ends.join(" to ")}` : "";
    this.status.textContent = `${this.heading()}, ${this.whose()}${reach}. ${this.variable().words}`;
  }
  repaint() {
    this.layers.slice(0, this.maps().length).forEach((layer) => layer.redraw());
  }
  remember() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.sharing.write(), 120);
  }

  // ---------------------------------------------------------------- pointing
  point(k, event) {
    const layer = this.layers[k],
      hexes = this.state.layer === "hexagons",
      at = hexes ? layer.pickHexagon(event.containerPoint) : layer.pick(event.containerPoint, 4);
    layer._map.getContainer().classList.toggle("soundit-hand", at >= 0 && !hexes);
    if (!hexes && at !== this.hover) {
      this.hover = at;
      if (this.data.count < MANY) this.repaint();
    }
    this.tip.hidden = at < 0;
    if (at < 0) return;
    const which = layer.whichAt(event.containerPoint),
      variable = this.variable(),
      shown = this.shown(which),
      means = hexes && this.means(which);
    const value = hexes ? means.values[at] : shown.values[at];
    const text = !known(value)
      ? this.stateOf(which, at) === FAILED
        ? "failed"
        : shown.quiet
          ? "same scene"
          : "no value"
      : variable.classes
        ? this.data.className(value)
        : format(value, variable, this.digits(1), which === "difference" && this.state.quantity === "value");
    this.tip.replaceChildren(
      el("b", { text: hexes ? `mean of ${plural(means.counts[at], "site")}` : this.data.names[at] }),
      el("span", { text }),
    );
    const box = this.stage.getBoundingClientRect(),
      frame = layer._map.getContainer().getBoundingClientRect();
    const x = frame.left - box.left + event.containerPoint.x,
      y = frame.top - box.top + event.containerPoint.y;
    this.tip.style.left = Math.max(4, Math.min(x, box.width - this.tip.offsetWidth - 20) + 14) + "px";
    this.tip.style.top = Math.max(4, y - 38) + "px";
  }
  unpoint() {
    this.tip.hidden = true;
    if (this.hover >= 0) {
      this.hover = -1;
      this.repaint();
    }
  }
}

const soundit = (window.soundit = { apps: [], start: (map, id) => new App(map, id), SEQUENTIAL, DIVERGING, UNCERTAIN });
