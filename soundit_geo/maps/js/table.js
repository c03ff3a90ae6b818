// The list of sites: a table that can be searched and sorted, with what the map shows of each.

const PAGE = 100;

class SiteTable {
  constructor(app) {
    this.app = app;
    this.order = [];
    this.sort = { by: "name", down: false };
    this.shown = PAGE;
    this.search = el("input", {
      type: "search",
      placeholder: "Find a site",
      "aria-label": "Find a site",
      oninput: () => {
        this.shown = PAGE;
        this.update();
        app.remember();
      },
    });
    this.head = el("tr");
    this.rows = el("tbody");
    this.more = el("button", {
      type: "button",
      class: "soundit-link",
      onclick: () => {
        this.shown += PAGE;
        this.fill();
      },
    });
    this.note = el("p", { class: "soundit-note", role: "status" });
    this.summary = el("summary");
    const table = el(
      "table",
      { class: "soundit-sites" },
      el("caption", { class: "soundit-unseen", text: "Sites and their values" }),
      el("thead", {}, this.head),
      this.rows,
    );
    this.node = el(
      "details",
      { class: "soundit-list", ontoggle: () => this.update() },
      this.summary,
      this.search,
      el("div", { class: "soundit-scroll", tabindex: "-1" }, table, this.more),
      this.note,
    );
  }
  update() {
    const { app } = this,
      { data, state } = app,
      wanted = this.search.value.trim().toLowerCase(),
      whiches = app.whiches();
    const visible = whiches.map((which) => app.visible(which)),
      narrowed = state.filter || (state.mask && state.view === "difference");
    this.order = [];
    for (let i = 0; i < data.count; i++) {
      if (wanted && !data.names[i].toLowerCase().includes(wanted)) continue;
      if (narrowed && !visible.some((flags) => flags[i])) continue;
      this.order.push(i);
    }
    if (!this.node.open) {
      this.summary.textContent = this.title();
      return;
    }
    const { by, down } = this.sort,
      way = down ? -1 : 1;
    if (by === "name") {
      if (down) this.order.reverse();
    } else {
      const values = app.shown(whiches[Math.min(by, whiches.length - 1)]).values;
      this.order.sort((one, two) =>
        known(values[one]) && known(values[two])
          ? (values[one] - values[two]) * way || one - two
          : known(values[two]) - known(values[one]) || one - two,
      );
    }
    this.fill();
  }
  title() {
    const all = this.app.data.count.toLocaleString("en"),
      some = this.order.length.toLocaleString("en");
    return `Sites (${some === all ? all : `${some} of ${all}`})`;
  }
  fill() {
    const { app } = this,
      { data, state } = app,
      whiches = app.whiches(),
      variable = app.variable(),
      digits = app.digits(1),
      tested = app.tested();
    const signed = state.view === "difference" && state.quantity === "value";
    this.summary.textContent = this.title();
    const column = (by, text) =>
      el(
        "th",
        { scope: "col", "aria-sort": this.sort.by === by ? (this.sort.down ? "descending" : "ascending") : "none" },
        el(
          "button",
          {
            type: "button",
            onclick: () => {
              this.sort = { by, down: this.sort.by === by && !this.sort.down };
              this.update();
              this.head.children[by === "name" ? 0 : by + 1].firstChild.focus();
            },
          },
          text,
        ),
      );
    this.head.replaceChildren(
      column("name", "Site"),
      ...whiches.map((which, k) => column(k, which === "difference" ? "A − B" : which.toUpperCase())),
    );
    const shown = this.order.slice(0, this.shown),
      star = signed && tested ? tested.sure : null;
    const columns = whiches.map((which) => ({ which, ...app.shown(which) }));
    const text = ({ which, quiet }, value, i) => {
      if (!known(value)) return app.stateOf(which, i) === FAILED ? "failed" : quiet ? "same" : "–";
      return variable.classes ? data.className(value) : format(value, variable, digits, signed);
    };
    this.lay(shown.length, whiches.length);
    shown.forEach((i, at) => {
      const row = this.rows.children[at],
        [name, ...cells] = row.children;
      row.dataset.site = i;
      put(name.firstChild, data.names[i]);
      columns.forEach((column, k) => {
        const value = column.values[i],
          words = text(column, value, i),
          [dot, said, mark] = cells[k].children;
        dot.className = known(value) ? "soundit-dot" : "soundit-dot soundit-none";
        dot.style.background = known(value) ? column.colours[column.level(value)] : "";
        put(said, words);
        mark.hidden = !(star && star[i]);
        cells[k].title = variable.classes ? words : "";
      });
    });
    this.mark();
    const rest = this.order.length - this.shown;
    this.more.hidden = rest <= 0;
    this.more.textContent = rest > 0 ? `${Math.min(PAGE, rest)} more of ${rest.toLocaleString("en")}` : "";
    this.note.textContent = this.order.length
      ? ""
      : this.search.value.trim()
        ? "No site of that name is shown."
        : "The filter leaves no site.";
  }
  // Rows are kept and written anew, which costs less than making them.
  lay(count, wide) {
    const { rows } = this;
    if (this.wide !== wide) rows.replaceChildren();
    this.wide = wide;
    while (rows.children.length > count) rows.lastChild.remove();
    while (rows.children.length < count) {
      const row = el("tr"),
        open = () => this.app.panel.open(+row.dataset.site, true);
      const name = el("button", { type: "button", onclick: open, onkeydown: (e) => this.step(e) });
      const star = () => el("abbr", { title: "differs from 0", text: "*" });
      const cells = Array.from({ length: wide }, () => el("td", {}, el("i"), el("span"), star()));
      row.append(el("th", { scope: "row" }, name), ...cells);
      rows.append(row);
    }
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
    const buttons = [...this.rows.querySelectorAll("th button")],
      next = buttons[buttons.indexOf(event.target) + way];
    if (next) next.focus();
    event.preventDefault();
  }
  next(i, way) {
    // the neighbour in the table's order
    const order = this.order.length ? this.order : [i],
      at = order.indexOf(i);
    return order[((at < 0 ? 0 : at + way) + order.length) % order.length];
  }
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
