// The legend: scale, words, and how the sites spread over it; brushing the histogram filters the map.

const BINS = 32;

class Legend {
  constructor(app) {
    this.app = app;
    this.node = el("section", { class: "soundit-legend", "aria-label": "Legend" });
  }
  update() {
    const { app } = this,
      { state, data } = app,
      variable = data.variables[state.variable];
    const whose = app.whose(),
      heading = el("h2", {}, el("span", { text: app.heading() }), el("small", { text: whose }));
    const parts = variable.classes ? this.classes() : this.numbers(variable);
    const holes = this.holes();
    this.node.replaceChildren(
      heading,
      ...parts,
      el(
        "div",
        { class: "soundit-filter" },
        (this.reading = el("span", {})),
        (this.clear = el("button", {
          type: "button",
          class: "soundit-link",
          text: "Show all",
          onclick: () => {
            app.set({ filter: null });
          },
        })),
      ),
      ...(holes ? [el("p", { class: "soundit-holes" }, el("i", {}), el("span", { text: holes }))] : []),
    );
    this.read();
  }
  numbers(variable) {
    const { app } = this,
      { state } = app,
      scale = (this.scale = app.shown(app.whiches()[0]).scale),
      apart = state.view === "difference",
      digits = app.digits();
    const signed = apart && state.quantity === "value";
    this.node.dataset.low = scale.low;
    this.node.dataset.high = scale.high;
    const bar = el("div", { class: "soundit-bar" });
    const stops = scale.table.map((hex, k) => `${hex} ${((100 * k) / (scale.table.length - 1)).toFixed(2)}%`);
    bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    const ticks = el("div", { class: "soundit-ticks" });
    scale.ticks.forEach((value, k) => {
      const tick = el("span", { text: format(value, variable, digits, signed) });
      tick.style.left = (100 * (value - scale.low)) / (scale.high - scale.low) + "%";
      if (k === 0) tick.className = "soundit-first";
      else if (k === scale.ticks.length - 1) tick.className = "soundit-last";
      ticks.append(tick);
    });
    const words = signed
      ? el(
          "p",
          { class: "soundit-words soundit-ends" },
          el("span", {}, badge("B"), " higher"),
          el("span", {}, "higher ", badge("A")),
        )
      : el("p", {
          class: "soundit-words",
          text: state.quantity === "error" ? "standard error over draws, lower is surer" : variable.words,
        });
    this.canvas = el("canvas", { class: "soundit-histogram", role: "img" });
    const slider = (end, label) =>
      el("input", {
        type: "range",
        class: "soundit-range",
        min: 0,
        max: 1000,
        value: end ? 1000 : 0,
        "aria-label": label,
        oninput: () => this.slide(end),
      });
    this.handles = [slider(0, `Lowest ${variable.label} shown`), slider(1, `Highest ${variable.label} shown`)];
    const box = (this.box = el("div", { class: "soundit-spread", onpointerdown: (e) => this.brush(e) }, this.canvas));
    const about =
      variable.about && state.quantity === "value" ? [el("p", { class: "soundit-about", text: variable.about })] : [];
    if (signed) about.splice(0, 1, el("p", { class: "soundit-about", text: `A − B, ${this.unit(variable)}` }));
    return [box, el("div", { class: "soundit-rail" }, bar, ...this.handles), ticks, words, ...about];
  }
  unit(variable) {
    // of a difference
    if (variable.percent) return "in percentage points (pp) of the picture";
    const [scale] = variable.words.split(",");
    return `in ${/^[-−\d.]+–[-−\d.]+$/.test(scale) ? `points of ${scale}` : scale}`;
  }
  // Values of a handle's place and back.
  at(part) {
    return this.scale.low + (this.scale.high - this.scale.low) * part;
  }
  part(value) {
    return (value - this.scale.low) / (this.scale.high - this.scale.low);
  }
  slide(end) {
    let [low, high] = this.handles.map((handle) => +handle.value / 1000);
    if (low > high) {
      if (end) high = low;
      else low = high;
      this.handles[end].value = Math.round((end ? high : low) * 1000);
    }
    this.keep(low, high);
  }
  keep(low, high) {
    this.app.set(
      {
        filter:
          low <= 0 && high >= 1 ? null : [low <= 0 ? -Infinity : this.at(low), high >= 1 ? Infinity : this.at(high)],
      },
      "filter",
    );
  }
  brush(event) {
    const box = this.box.getBoundingClientRect(),
      where = (e) => Math.min(1, Math.max(0, (e.clientX - box.left) / box.width)),
      from = where(event);
    const move = (e) => {
      const to = where(e);
      if (Math.abs(to - from) > 0.01) this.keep(Math.min(from, to), Math.max(from, to));
    };
    this.box.setPointerCapture(event.pointerId);
    this.box.onpointermove = move;
    this.box.onpointerup = (e) => {
      this.box.onpointermove = this.box.onpointerup = null;
      if (Math.abs(where(e) - from) <= 0.01) this.keep(0, 1);
    };
    event.preventDefault();
  }
  read() {
    // what the filter leaves
    const { app } = this,
      { state, data } = app,
      variable = data.variables[state.variable];
    const left = app.remaining();
    this.clear.hidden = !state.filter;
    if (variable.classes) {
      this.reading.textContent = state.filter ? `${left.toLocaleString("en")} of ${plural(data.count, "site")}` : "";
      return;
    }
    if (this.scale.empty) {
      this.reading.textContent = "No values.";
      return;
    }
    const [low, high] = state.filter || [-Infinity, Infinity],
      digits = app.digits(1),
      signed = state.view === "difference" && state.quantity === "value";
    const ends = [Math.max(low, this.scale.low), Math.min(high, this.scale.high)];
    this.handles.forEach((handle, end) => {
      handle.value = Math.round(1000 * this.part(ends[end]));
      handle.setAttribute("aria-valuetext", format(ends[end], variable, digits, signed));
    });
    this.handles[0].style.zIndex = +this.handles[0].value > 500 ? 3 : 2; // so that both can be taken where they meet
    const words = ends.map((value) => format(value, variable, digits, signed)).join(" to ");
    const reach = state.filter ? `${words} · ` : "";
    this.reading.textContent =
      state.filter || state.mask
        ? `${reach}${left.toLocaleString("en")} of ${plural(data.count, "site")}`
        : "Drag over the bars to filter";
    this.draw();
  }
  bins(which) {
    const { values } = this.app.shown(which),
      { low, high } = this.scale,
      counts = new Array(BINS).fill(0);
    for (const value of values)
      if (known(value)) counts[Math.min(BINS - 1, Math.max(0, Math.floor(((value - low) / (high - low)) * BINS)))]++;
    return counts;
  }
  // Of the histogram, measured once for each size of the page: asking makes the browser lay all of it out.
  size() {
    const { clientWidth, clientHeight } = this.measured ? {} : this.box;
    if (clientWidth) this.measured = [clientWidth, clientHeight];
    return this.measured || [260, 44];
  }
  draw() {
    const { app, canvas, scale } = this,
      { state } = app,
      ratio = window.devicePixelRatio || 1,
      [width, height] = this.size();
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d"),
      whiches = app.whiches(),
      all = whiches.map((which) => this.bins(which)),
      most = Math.max(1, ...all.flat()),
      [low, high] = state.filter || [-Infinity, Infinity];
    pen.scale(ratio, ratio);
    const tall = (count) => (count ? Math.max(2, (count / most) * (height - 3)) : 0),
      wide = width / BINS;
    all[0].forEach((count, k) => {
      const middle = this.at((k + 0.5) / BINS),
        half = (scale.high - scale.low) / BINS / 2;
      pen.globalAlpha = middle + half <= low || middle - half >= high ? 0.22 : 1;
      pen.fillStyle = css(colourOf(scale, middle));
      pen.fillRect(k * wide + 0.5, height - tall(count), wide - 1, tall(count));
      if (count) {
        pen.strokeStyle = app.look.rim;
        pen.lineWidth = 0.5;
        pen.strokeRect(k * wide + 0.5, height - tall(count), wide - 1, tall(count));
      }
    });
    pen.globalAlpha = 1;
    if (all[1]) {
      // B's bars, as an outline over A's
      pen.beginPath();
      all[1].forEach((count, k) => {
        pen.lineTo(k * wide, height - tall(count));
        pen.lineTo((k + 1) * wide, height - tall(count));
      });
      pen.strokeStyle = app.dark ? "#ef9a4d" : "#b8560b";
      pen.lineWidth = 1.5;
      pen.stroke();
    }
    canvas.setAttribute(
      "aria-label",
      `Histogram of ${app.heading()}: ${all[0]
        .map((count, k) => (count ? `${count} from ${format(this.at(k / BINS), app.variable(), app.digits(1))}` : ""))
        .filter(Boolean)
        .join(", ")}`,
    );
  }
  classes() {
    const { app } = this,
      { state, data } = app,
      values = app.shown(app.whiches()[0]).values,
      counts = new Map();
    for (const value of values) if (known(value)) counts.set(value, (counts.get(value) || 0) + 1);
    const order = data.classOrder().filter((id) => counts.has(id)),
      kept = state.filter;
    this.node.dataset.low = this.node.dataset.high = "";
    const rows = order.slice(0, 40).map((id) => {
      const swatch = el("i", {}),
        button = el(
          "button",
          {
            type: "button",
            "aria-pressed": String(!kept || kept.includes(id)),
            onclick: () => {
              const next = kept ? (kept.includes(id) ? kept.filter((one) => one !== id) : [...kept, id]) : [id];
              app.set({ filter: next.length ? next : null });
            },
          },
          swatch,
          el("span", { text: data.className(id) }),
          el("b", { text: counts.get(id).toLocaleString("en") }),
        );
      swatch.style.background = data.classColour(id);
      return button;
    });
    const words =
      state.view === "difference" ? "A's scene, where B has another; the rest is faint" : app.variable().words;
    return [
      el("div", { class: "soundit-classes", role: "group", "aria-label": "Scenes shown" }, ...rows),
      el("p", { class: "soundit-words", text: rows.length ? words : "No site." }),
    ];
  }
  holes() {
    const { app } = this,
      which = app.whiches()[0],
      { values, quiet } = app.shown(which);
    let failed = 0,
      empty = 0;
    for (let i = 0; i < app.data.count; i++)
      if (!known(values[i])) {
        if (app.stateOf(which, i) === FAILED) failed++;
        else empty++;
      }
    return [failed ? `${failed} failed` : "", empty && !quiet ? `${empty} without a value` : ""]
      .filter(Boolean)
      .join(", ");
  }
}
