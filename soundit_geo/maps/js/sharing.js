// A view as a link, the sites shown as CSV, the map shown as a picture.

class Sharing {
  constructor(app) {
    this.app = app;
  }

  // ---------------------------------------------------------------- the view in the address
  hash() {
    const { app } = this,
      { state, data, first } = app,
      entries = [],
      same = (key) => JSON.stringify(state[key]) === JSON.stringify(first[key]);
    const put = (key, value) => entries.push(`${key}=${encodeURIComponent(value)}`);
    if (!same("variable")) put("variable", data.variables[state.variable].key);
    for (const key of ["a", "b"]) if (!same(key)) put(key, data.scenarios[state[key]]);
    for (const key of ["quantity", "view", "layer", "size", "draw", "mask"]) if (!same(key)) put(key, state[key]);
    if (state.view === "swipe") put("swipe", state.swipe.toFixed(3));
    if (state.filter)
      put("filter", state.filter.map((one) => (Number.isFinite(one) ? +one.toPrecision(6) : "")).join("~"));
    if (state.site >= 0) put("site", data.names[state.site]);
    if (app.table.search.value) put("find", app.table.search.value);
    if (app.touched) {
      const { lat, lng } = app.map.getCenter();
      put("at", [lat.toFixed(6), lng.toFixed(6), +app.map.getZoom().toFixed(3)].join("~"));
    }
    return entries.length ? "#" + entries.join("&") : "";
  }
  // Take from an address what the map knows; the rest is left alone.
  read() {
    const { app } = this,
      { data, first } = app,
      given = new Map(),
      change = { ...first, filter: null, site: -1 };
    if (app.state.site >= 0) app.panel.close();
    app.touched = false;
    for (const entry of location.hash.slice(1).split("&")) {
      const cut = entry.indexOf("=");
      try {
        if (cut > 0) given.set(entry.slice(0, cut), decodeURIComponent(entry.slice(cut + 1)));
      } catch (error) {
        /* no text: left out */
      }
    }
    const choose = (key, allowed, as) => {
      const at = allowed.map(String).indexOf(given.get(key));
      if (at >= 0) change[key] = as ? at : allowed[at];
    };
    choose(
      "variable",
      data.variables.map((variable) => variable.key),
      true,
    );
    choose("a", data.scenarios, true);
    choose("b", data.scenarios, true);
    choose("quantity", ["value", "error"]);
    choose("layer", ["points", "hexagons", "surface"]);
    choose("mask", [true, false]);
    if (data.scenarios.length > 1) choose("view", ["a", "b", "difference", "side by side", "swipe"]);
    choose(
      "size",
      data.hexagons.map((_, k) => k),
    );
    choose(
      "draw",
      data.draws.map((_, k) => k),
    );
    const swipe = parseFloat(given.get("swipe"));
    if (swipe >= 0 && swipe <= 1) change.swipe = swipe;
    if (given.has("filter")) {
      const parts = given
        .get("filter")
        .split("~")
        .map((text) => (text === "" ? NaN : Number(text)));
      if (data.variables[change.variable].classes)
        change.filter = parts.filter((id) => data.className(id) !== undefined);
      else if (parts.length === 2)
        change.filter = [known(parts[0]) ? parts[0] : -Infinity, known(parts[1]) ? parts[1] : Infinity];
    }
    app.table.search.value = given.get("find") || "";
    const site = data.names.indexOf(given.get("site")),
      at = (given.get("at") || "").split("~").map(Number);
    app.set(change, "all");
    if (site >= 0) app.panel.open(site);
    if (at.length === 3 && at.every(Number.isFinite)) {
      app.touched = true;
      app.map.setView([at[0], at[1]], at[2], { animate: false });
    }
  }
  write() {
    // The address belongs to the notebook, or to the first map.
    if (window.top !== window || soundit.apps[0] !== this.app) return;
    try {
      history.replaceState(null, "", this.hash() || location.pathname + location.search);
    } catch (error) {
      /* where there is no address to write */
    }
  }

  // ---------------------------------------------------------------- little windows
  window(from, label, ...parts) {
    const box = el(
      "div",
      { class: "soundit-window", role: "dialog", "aria-label": label },
      el(
        "header",
        {},
        el("h2", { text: label }),
        iconButton("close", "Close", () => shut()),
      ),
      ...parts,
    );
    const shut = () => {
      box.remove();
      document.removeEventListener("pointerdown", outside, true);
      from.focus();
    };
    const outside = (event) => {
      if (!box.contains(event.target)) {
        box.remove();
        document.removeEventListener("pointerdown", outside, true);
      }
    };
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        shut();
        event.stopPropagation();
      }
    });
    document.addEventListener("pointerdown", outside, true);
    this.app.root.append(box);
    box.querySelector("input, .soundit-button").focus();
    return box;
  }
  openLink(from) {
    this.write();
    const link = el("input", {
        type: "text",
        readonly: true,
        "aria-label": "Link to this view",
        value: location.href.split("#")[0] + this.hash(),
      }),
      said = el("span", { role: "status" });
    const copy = async () => {
      link.select();
      try {
        await navigator.clipboard.writeText(link.value);
        said.textContent = "Copied.";
      } catch (error) {
        said.textContent = "Press Ctrl+C to copy.";
      }
    };
    this.window(
      from,
      "Share this view",
      el("p", { text: "Whoever has this file at the same address sees the same view." }),
      link,
      el(
        "div",
        { class: "soundit-line" },
        el("button", { type: "button", class: "soundit-button", text: "Copy link", onclick: copy }),
        said,
      ),
    );
    link.select();
  }
  openExport(from) {
    const said = el("p", { role: "status" }),
      { app } = this;
    const save = (name, make) =>
      el("button", {
        type: "button",
        class: "soundit-button",
        text: name,
        onclick: async () => {
          try {
            const blob = await make();
            this.download(blob, name);
            said.textContent = `${plural(app.table.order.length, "site")} · ${Math.ceil(blob.size / 1024)} kB`;
          } catch (error) {
            said.textContent = "Your browser does not let tiles of another site be saved.";
          }
        },
      });
    this.window(
      from,
      "Save what is shown",
      el("p", { text: "The sites that the list holds as a table, or the map with its legend as a picture." }),
      el(
        "div",
        { class: "soundit-line" },
        save("CSV", async () => new Blob(["\ufeff", this.csv()], { type: "text/csv;charset=utf-8" })),
        save("PNG", async () => {
          const sheet = await this.picture();
          return new Promise((done, fail) => {
            sheet.toBlob((blob) => (blob ? done(blob) : fail(new Error("no picture"))), "image/png");
          });
        }),
      ),
      said,
    );
  }
  download(blob, kind) {
    const link = el("a", {
      href: URL.createObjectURL(blob),
      download: `${this.app.variable().key.replace(/[^\w-]+/g, "-")}.${kind.toLowerCase()}`,
    });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // ---------------------------------------------------------------- the table
  csv() {
    const { app } = this,
      { data, state } = app,
      k = state.variable,
      variable = app.variable(),
      two = data.scenarios.length > 1,
      tested = two && !variable.classes ? data.change(k, state.a, state.b) : null;
    const number = (value) =>
      !known(value) ? "" : variable.classes ? data.className(value) : String(+value.toPrecision(7));
    const error = (scenario, i) => {
      const errors = data.error(k, scenario);
      return errors && known(errors[i]) ? String(+errors[i].toPrecision(4)) : "";
    };
    const { origin } = data.provenance;
    const head = [
      ...["site", "longitude", "latitude", "variable", "scenario_a", "a", "a_se"],
      ...(two ? ["scenario_b", "b", "b_se", "a_minus_b", "a_minus_b_se", "significant"] : []),
      ...Object.keys(origin),
    ];
    const place = (i) => [data.names[i], data.lon[i].toFixed(7), data.lat[i].toFixed(7), variable.key];
    const rows = app.table.order.map((i) => {
      const [one, other] = [state.a, state.b].map((scenario) => data.column(k, scenario)[i]);
      const row = [...place(i), data.scenarios[state.a], number(one), error(state.a, i)];
      if (two) {
        row.push(data.scenarios[state.b], number(other), error(state.b, i));
        row.push(variable.classes ? "" : number(one - other));
        row.push(tested && known(tested.error[i]) ? String(+tested.error[i].toPrecision(4)) : "");
        row.push(tested ? (tested.sure[i] ? "yes" : "no") : "");
      }
      return [...row, ...Object.values(origin)];
    });
    const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
    return [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  // ---------------------------------------------------------------- the picture
  parts(map) {
    // what a map is made of, the lowest first
    const drawn = ".leaflet-tile, .leaflet-pane canvas, .leaflet-pane > svg, .leaflet-pane img, .soundit-label";
    const parts = [...map.getContainer().querySelectorAll(drawn)];
    const height = (part) => +getComputedStyle(part.closest(".leaflet-pane:not(.leaflet-map-pane)")).zIndex || 0;
    const heights = new Map(parts.map((part) => [part, height(part)]));
    return parts.sort((one, two) => heights.get(one) - heights.get(two));
  }
  async picture() {
    const { app } = this,
      { data } = app,
      ratio = 2,
      stage = app.stage.getBoundingClientRect(),
      foot = 96,
      top = 44,
      width = Math.max(stage.width, 320),
      height = stage.height + top + foot;
    const sheet = el("canvas", { width: Math.round(width * ratio), height: Math.round(height * ratio) }),
      pen = sheet.getContext("2d"),
      font = getComputedStyle(app.root).fontFamily,
      { look } = app;
    pen.scale(ratio, ratio);
    pen.fillStyle = look.paper;
    pen.fillRect(0, 0, width, height);
    const text = (words, x, y, size, colour, weight, align, room) => {
      pen.font = `${weight || 400} ${size}px ${font}`;
      pen.fillStyle = colour || look.ink;
      pen.textAlign = align || "left";
      pen.fillText(words, x, y, room);
    };
    for (const map of app.maps()) {
      const box = map.getContainer().getBoundingClientRect();
      pen.save();
      pen.beginPath();
      pen.rect(box.left - stage.left, top + box.top - stage.top, box.width, box.height);
      pen.clip();
      pen.fillStyle = look.land;
      pen.fill();
      for (const part of this.parts(map)) {
        const at = part.getBoundingClientRect(),
          x = at.left - stage.left,
          y = top + at.top - stage.top;
        if (part.matches(".soundit-label")) {
          if (part.style.visibility !== "hidden")
            text(part.textContent, x + at.width / 2, y + at.height / 2 + 4, 11, look.soft, 600, "center");
        } else if (at.width && at.height) {
          const drawn = part instanceof SVGElement ? await imageOf(part) : part;
          pen.drawImage(drawn, x, y, at.width, at.height);
        }
      }
      pen.restore();
    }
    text(data.title, 14, 28, 17, look.ink, 650, "left", width - 28);
    const shown = app.shown(app.whiches()[0]),
      y = top + stage.height,
      wide = Math.min(300, width / 2 - 28);
    text(app.heading(), 14, y + 22, 14, look.ink, 650, "left", width / 2 - 20);
    text(app.whose(), 14, y + 38, 12, look.soft, 400, "left", width / 2 - 20);
    if (!app.variable().classes) {
      const { scale } = shown,
        shade = pen.createLinearGradient(14, 0, 14 + wide, 0);
      scale.table.forEach((hex, k) => shade.addColorStop(k / (scale.table.length - 1), hex));
      pen.fillStyle = shade;
      pen.fillRect(14, y + 46, wide, 11);
      const signed = app.state.view === "difference" && app.state.quantity === "value";
      scale.ticks.forEach((value, k) =>
        text(
          format(value, app.variable(), app.digits(), signed),
          14 + (wide * (value - scale.low)) / (scale.high - scale.low),
          y + 71,
          11,
          look.soft,
          400,
          k === 0 ? "left" : k === scale.ticks.length - 1 ? "right" : "center",
        ),
      );
    }
    text(
      app.state.quantity === "error" ? "standard error over draws" : app.variable().words,
      width - 14,
      y + 22,
      12,
      look.ink,
      400,
      "right",
      width / 2 - 20,
    );
    const origin = [data.provenance.evidence, ...data.provenance.facts].filter(Boolean).join(" · ");
    text(origin, 14, y + 88, 11, look.soft, 400, "left", width - 28);
    return sheet;
  }
}

async function imageOf(svg) {
  const image = new Image(),
    { width, height } = svg.getBoundingClientRect(),
    copy = svg.cloneNode(true);
  copy.removeAttribute("style"); // which moves it on the page
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  image.src = "data:image/svg+xml," + encodeURIComponent(new XMLSerializer().serializeToString(copy));
  await image.decode();
  return image;
}
