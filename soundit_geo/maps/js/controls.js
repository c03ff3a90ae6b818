// The card of controls: what is shown, of which scenarios, how.

class Controls {
  constructor(app) {
    const { data, id } = app,
      one = data.scenarios.length === 1;
    this.app = app;
    this.variable = el("select", {
      id: id + "-variable",
      "aria-label": "Variable",
      onchange: (e) => app.set({ variable: +e.target.value }),
    });
    const groups = new Map();
    data.variables.forEach((variable, k) => {
      if (!groups.has(variable.group))
        groups.set(variable.group, this.variable.appendChild(el("optgroup", { label: variable.group })));
      groups.get(variable.group).append(el("option", { value: k, text: variable.label }));
    });
    this.quantity = segments(
      id + "-quantity",
      "Value or uncertainty",
      [
        ["value", "Value"],
        ["error", "Uncertainty", "Uncertainty: standard error over draws"],
      ],
      (quantity) => app.set({ quantity }),
    );
    this.view = segments(
      id + "-view",
      "View",
      [
        ["a", "A"],
        ["b", "B"],
        ["difference", "A − B"],
        ["side by side", "Side by side"],
        ["swipe", "Swipe"],
      ],
      (view) => app.set({ view }),
    );
    const layers = [
      ["points", "Points"],
      ["hexagons", "Hexagons"],
    ];
    if (Object.keys(data.surfaces).length) layers.push(["surface", "Surface"]);
    this.layer = segments(id + "-layer", "Draw as", layers, (layer) => app.set({ layer }));
    this.size = el(
      "select",
      { "aria-label": "Size of the hexagons", onchange: (e) => app.set({ size: +e.target.value }) },
      ...data.hexagons.map(({ edge }, k) =>
        el("option", {
          value: k,
          text: `edge ${edge >= 1000 ? (edge / 1000).toPrecision(2) + " km" : Math.round(edge) + " m"}`,
        }),
      ),
    );
    this.mask = el("input", { type: "checkbox", onchange: (e) => app.set({ mask: e.target.checked }) });
    this.maskRow = el(
      "label",
      { class: "soundit-check" },
      this.mask,
      el("span", { text: "Only where the change is significant" }),
    );
    this.maskNote = el("p", { class: "soundit-note" });
    this.pickers = {};
    const tools = el(
      "div",
      { class: "soundit-tools" },
      iconButton("share", "Share this view", (e) => app.sharing.openLink(e.currentTarget), {
        "aria-haspopup": "dialog",
      }),
      iconButton("save", "Save what is shown", (e) => app.sharing.openExport(e.currentTarget), {
        "aria-haspopup": "dialog",
      }),
      iconButton("theme", "Light or dark", () => app.setTheme(app.dark ? "light" : "dark")),
    );
    this.fold = iconButton("menu", "Controls", () => this.open(!this.opened), {
      class: "soundit-tool soundit-fold",
      "aria-expanded": "true",
      "aria-controls": id + "-body",
    });
    tools.append(this.fold);
    this.body = el(
      "div",
      { class: "soundit-body", id: id + "-body" },
      one
        ? el("p", { class: "soundit-one", text: data.scenarios[0] })
        : el(
            "div",
            { class: "soundit-pair" },
            this.scenario("A"),
            this.scenario("B"),
            iconButton("swap", "Swap A and B", () => app.set({ a: app.state.b, b: app.state.a }), {
              class: "soundit-tool soundit-swap",
            }),
          ),
      el("div", { class: "soundit-line" }, this.quantity.row),
      el("div", { class: "soundit-line" }, this.layer.row, this.size),
      one ? null : this.maskRow,
      this.maskNote,
      app.table.node,
    );
    this.node = el(
      "section",
      { class: "soundit-card", "aria-label": "Controls" },
      el("header", {}, el("h1", { text: data.title }), tools),
      this.variable,
      one ? null : this.view.row,
      this.body,
    );
    this.open(true);
  }
  scenario(letter) {
    const { app } = this,
      key = letter.toLowerCase();
    const picker = (this.pickers[key] = el(
      "select",
      { "aria-label": "Scenario " + letter, onchange: (e) => app.set({ [key]: +e.target.value }) },
      ...app.data.scenarios.map((name, k) => el("option", { value: k, text: name })),
    ));
    return el("label", { class: "soundit-row" }, badge(letter), picker);
  }
  open(opened) {
    this.opened = opened;
    this.node.classList.toggle("soundit-open", opened);
    this.fold.setAttribute("aria-expanded", String(opened));
  }
  update() {
    const { state, data } = this.app,
      variable = data.variables[state.variable],
      apart = state.view === "difference";
    this.variable.value = state.variable;
    this.size.value = state.size;
    this.mask.checked = state.mask;
    for (const [key, picker] of Object.entries(this.pickers)) picker.value = state[key];
    this.quantity.set(state.quantity);
    this.view.set(state.view);
    this.layer.set(state.layer);
    this.quantity.inputs.get("error").disabled = !variable.errors;
    if (this.layer.inputs.has("surface")) this.layer.inputs.get("surface").disabled = !data.surfaces[variable.key];
    this.size.hidden = state.layer !== "hexagons";
    const tested = this.app.tested();
    this.maskRow.hidden = !apart || state.quantity === "error" || Boolean(variable.classes);
    this.mask.disabled = !tested;
    this.maskNote.hidden = this.maskRow.hidden;
    const untested = state.a === state.b ? "" : "No test of this pair or variable.";
    const sure = tested
      ? plural(
          tested.sure.reduce((sum, flag) => sum + flag, 0),
          "site",
        )
      : "";
    this.maskNote.textContent = tested
      ? `${sure} of ${data.count.toLocaleString("en")}; paired t test over draws, ` +
        `at most ${data.rate * 100} % false discoveries.`
      : data.draws.length < 2
        ? "One draw per site: no test."
        : untested;
  }
}
