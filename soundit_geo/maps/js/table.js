// The list of sites: a table that can be searched and sorted, with what the map shows of each.

const PAGE = 200;

class SiteTable {
  constructor(app) {
    this.app = app; this.order = []; this.sort = { by: "name", down: false }; this.shown = PAGE;
    this.search = el("input", { type: "search", placeholder: "Find a site", "aria-label": "Find a site", oninput: () => { this.shown = PAGE; this.update(); app.remember(); } });
    this.head = el("tr"); this.rows = el("tbody");
    this.more = el("button", { type: "button", class: "soundit-link", onclick: () => { this.shown += PAGE; this.fill(); } });
    this.note = el("p", { class: "soundit-note", role: "status" });
    this.summary = el("summary");
    const table = el("table", { class: "soundit-sites" }, el("caption", { class: "soundit-unseen", text: "Sites and their values" }), el("thead", {}, this.head), this.rows);
    this.node = el("details", { class: "soundit-list", ontoggle: () => this.update() }, this.summary, this.search, el("div", { class: "soundit-scroll", tabindex: "-1" }, table, this.more), this.note);
  }
  update() {
    const { app } = this, { data, state } = app, wanted = this.search.value.trim().toLowerCase(), whiches = app.whiches();
    const visible = whiches.map((which) => app.visible(which)), narrowed = state.filter || (state.mask && state.view === "difference");
    this.order = [];
    for (let i = 0; i < data.count; i++) {
      if (wanted && !data.names[i].toLowerCase().includes(wanted)) continue;
      if (narrowed && !visible.some((flags) => flags[i])) continue;
      this.order.push(i);
    }
    if (!this.node.open) { this.summary.textContent = this.title(); return; }
    const { by, down } = this.sort, way = down ? -1 : 1;
    if (by === "name") { if (down) this.order.reverse(); }
    else {
      const values = app.shown(whiches[Math.min(by, whiches.length - 1)]).values;
      this.order.sort((one, two) => known(values[one]) && known(values[two]) ? (values[one] - values[two]) * way || one - two : known(values[two]) - known(values[one]) || one - two);
    }
    this.fill();
  }
  title() { return `Sites (${this.order.length === this.app.data.count ? "" : this.order.length.toLocaleString("en") + " of "}${this.app.data.count.toLocaleString("en")})`; }
  fill() {
    const { app } = this, { data, state } = app, whiches = app.whiches(), variable = app.variable(), digits = app.digits(1), tested = app.tested();
    const signed = state.view === "difference" && state.quantity === "value";
    this.summary.textContent = this.title();
    const column = (by, text) => el("th", { scope: "col", "aria-sort": this.sort.by === by ? (this.sort.down ? "descending" : "ascending") : "none" },
      el("button", { type: "button", onclick: () => { this.sort = { by, down: this.sort.by === by && !this.sort.down }; this.update(); this.head.children[by === "name" ? 0 : by + 1].firstChild.focus(); } }, text));
    this.head.replaceChildren(column("name", "Site"), ...whiches.map((which, k) => column(k, which === "difference" ? "A − B" : which.toUpperCase())));
    this.rows.replaceChildren(...this.order.slice(0, this.shown).map((i) => el("tr", { "data-site": i },
      el("th", { scope: "row" }, el("button", { type: "button", text: data.names[i], onclick: () => app.panel.open(i, true), onkeydown: (e) => this.step(e) })),
      ...whiches.map((which) => {
        const shown = app.shown(which), value = shown.values[i], dot = el("i", { class: known(value) ? "soundit-dot" : "soundit-dot soundit-none" });
        if (known(value)) dot.style.background = shown.colours[shown.level(value)];
        const text = !known(value) ? app.stateOf(which, i) === FAILED ? "failed" : shown.quiet ? "same" : "–" : variable.classes ? data.className(value) : format(value, variable, digits, signed);
        const star = signed && tested && tested.sure[i] ? el("abbr", { title: "differs from 0", text: "*" }) : null;
        return el("td", { title: variable.classes ? text : null }, dot, el("span", { text }), star);
      }))));
    this.mark();
    const rest = this.order.length - this.shown;
    this.more.hidden = rest <= 0;
    this.more.textContent = rest > 0 ? `${Math.min(PAGE, rest)} more of ${rest.toLocaleString("en")}` : "";
    this.note.textContent = this.order.length ? "" : this.search.value.trim() ? "No site of that name is shown." : "The filter leaves no site.";
  }
  mark() {
    for (const row of this.rows.children) {
      const chosen = +row.dataset.site === this.app.state.site;
      row.classList.toggle("soundit-chosen", chosen);
      row.querySelector("button").toggleAttribute("aria-current", chosen);
    }
  }
  step(event) {
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!way) return;
    const buttons = [...this.rows.querySelectorAll("th button")], next = buttons[buttons.indexOf(event.target) + way];
    if (next) next.focus();
    event.preventDefault();
  }
  next(i, way) {  // the neighbour in the table's order
    const order = this.order.length ? this.order : [i], at = order.indexOf(i);
    return order[((at < 0 ? 0 : at + way) + order.length) % order.length];
  }
}
