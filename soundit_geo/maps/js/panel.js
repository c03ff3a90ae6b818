// The panel of a site: pictures with a wipe between them, sound, scores, what is seen, where it comes from.

class Panel {
  constructor(app) {
    this.app = app;
    this.site = -1;
    this.sides = "AB";
    this.at = 50;
    this.node = el("aside", { class: "soundit-panel", "aria-label": "Site", hidden: true, tabindex: "-1" });
    this.node.addEventListener("keydown", (event) => {
      if (event.target.closest("audio, input, select")) return;
      const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (way) {
        this.go(way);
        event.preventDefault();
      }
    });
  }
  open(i, byKey) {
    const { app } = this;
    if (this.node.hidden) this.back = document.activeElement;
    app.state.site = i;
    this.node.hidden = false;
    app.root.classList.add("soundit-reading");
    app.tip.hidden = true;
    app.settle(true);
    this.update();
    if (byKey) this.node.querySelector(".soundit-close").focus();
    this.reveal(i);
    app.repaint();
    app.table.mark();
    app.remember();
  }
  close() {
    const { app } = this,
      i = app.state.site;
    app.state.site = this.site = -1;
    this.node.hidden = true;
    this.node.replaceChildren();
    app.root.classList.remove("soundit-reading");
    app.settle();
    app.repaint();
    app.table.mark();
    app.remember();
    const { back } = this,
      again =
        back && app.table.rows.contains(back)
          ? app.table.rows.querySelector(`tr[data-site="${i}"] button`) || back
          : back;
    if (again && again.isConnected && again !== document.body) again.focus();
  }
  go(way) {
    this.open(this.app.table.next(this.app.state.site, way), true);
  }
  reveal(i) {
    // move the map where the panel would hide the site
    const { app } = this,
      panel = this.node.getBoundingClientRect(),
      [map] = app.maps(),
      box = map.getContainer().getBoundingClientRect();
    const right = 30 + (app.narrow ? 0 : Math.max(0, box.right - Math.max(panel.left, box.left))),
      below = 30 + (app.narrow ? Math.max(0, box.bottom - Math.max(panel.top, box.top)) : 0);
    map.panInside([app.data.lat[i], app.data.lon[i]], {
      paddingTopLeft: [30, 30],
      paddingBottomRight: [Math.min(right, box.width - 60), Math.min(below, box.height - 60)],
      animate: false,
    });
  }
  update() {
    const { app } = this,
      { state, data } = app,
      i = state.site;
    if (i < 0) return;
    const media = data.media(i),
      pair =
        state.a === state.b
          ? [["A", state.a]]
          : [
              ["A", state.a],
              ["B", state.b],
            ];
    const focus = this.node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const player = this.site === i ? this.node.querySelector(".soundit-sound") : null,
      message = data.messages[i];
    const button = (key, label, act) =>
      iconButton(key, label, act, { class: "soundit-tool soundit-" + key, "data-key": key });
    this.node.replaceChildren(
      ...[
        el(
          "header",
          {},
          el("h2", { text: data.names[i] }),
          el(
            "nav",
            {},
            button("before", "Previous site", () => {
              this.go(-1);
              this.focus("before");
            }),
            button("after", "Next site", () => {
              this.go(1);
              this.focus("after");
            }),
            button("close", "Close", () => this.close()),
          ),
        ),
        this.here(i),
        message
          ? el(
              "p",
              { class: "soundit-message", role: "alert" },
              el("b", { text: data.states.some((states) => states[i] === FAILED) ? "Failed. " : "Note. " }),
              el("span", { text: message }),
            )
          : null,
        this.pictures(i, pair, media),
        player || this.sound(i, media),
        ...this.scores(i, pair),
        this.seen(i, pair),
        this.origin(i, pair),
      ].filter(Boolean),
    );
    if (this.site !== i) this.node.scrollTop = 0;
    this.site = i;
    if (focus) this.focus(focus);
  }
  focus(key) {
    const node = this.node.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (node) node.focus();
  }

  here(i) {
    const { app } = this,
      group = app.groupOf.get(i);
    return group
      ? el(
          "p",
          { class: "soundit-here" },
          el("span", { text: `${group.length} sites at this place: ` }),
          ...group.map((k) =>
            el("button", {
              type: "button",
              "aria-pressed": String(k === i),
              text: app.data.names[k],
              onclick: () => this.open(k, true),
            }),
          ),
        )
      : null;
  }

  // ---------------------------------------------------------------- pictures
  pictures(i, pair, media) {
    const { app } = this,
      { data, state } = app,
      name = data.names[i],
      box = el("section", { class: "soundit-pictures", "aria-label": "Landscapes" });
    const pictures = new Map(),
      draw = data.draws[state.draw];
    if (media)
      for (const [letter, scenario] of pair) {
        const address = media.pictures[scenario][state.draw];
        if (address)
          pictures.set(letter, [address, `Landscape of ${name}, ${data.scenarios[scenario]}, draw ${draw + 1}`]);
      }
    if (media && media.photo) pictures.set("P", [media.photo, `Photo of ${name}`]);
    const title = { A: "A", B: "B", P: "Photo" },
      letters = [...pictures.keys()],
      choices = letters.flatMap((one, k) => letters.slice(k + 1).map((two) => one + two));
    if (pictures.size) {
      const sides = choices.includes(this.sides) ? this.sides : choices[0] || letters[0];
      box.append(this.wipe(sides, pictures, title));
      const tools = el("div", { class: "soundit-leaf" });
      if (choices.length > 1) {
        const picked = segments(
          app.id + "-sides",
          "Pictures compared",
          choices.map((both) => [both, [...both].map((letter) => title[letter]).join(" | ")]),
          (both) => {
            this.sides = both;
            this.update();
            this.focus("sides" + both);
          },
        );
        picked.set(sides);
        picked.inputs.forEach((input, both) => {
          input.dataset.key = "sides" + both;
        });
        tools.append(picked.row);
      }
      if (data.draws.length > 1) {
        const draws = segments(
          app.id + "-draw",
          "Draw",
          data.draws.map((one, k) => [k, String(one + 1), `Draw ${one + 1}`]),
          (k) => app.set({ draw: +k }, "panel"),
        );
        draws.set(state.draw);
        draws.inputs.forEach((input, k) => {
          input.dataset.key = "draw" + k;
        });
        draws.row.prepend(el("em", { text: "Draw" }));
        tools.append(draws.row);
      }
      if (tools.children.length) box.append(tools);
    } else if (media)
      box.append(
        el("div", {
          class: "soundit-gap",
          text: pair.some(([, scenario]) => data.states[scenario][i] === PENDING) ? "not drawn yet" : "no picture",
        }),
      );
    box.append(
      el(
        "div",
        { class: "soundit-captions" },
        ...pair.map(([letter, scenario]) =>
          el(
            "div",
            {},
            el("b", {}, badge(letter), el("span", { text: data.scenarios[scenario] })),
            el("p", { class: "soundit-prompt", text: data.prompt(scenario, i) || "the sound alone" }),
            data.states[scenario][i] === FAILED ? el("p", { class: "soundit-gone", text: "failed" }) : null,
          ),
        ),
      ),
    );
    return box;
  }
  wipe(sides, pictures, title) {
    const [left, right] = sides,
      frame = el("div", { class: "soundit-wipe" }),
      picture = (letter) => el("img", { src: pictures.get(letter)[0], alt: pictures.get(letter)[1] });
    const label = (letter, side) =>
      el("span", { class: `soundit-side soundit-${side}`, text: title[letter], "aria-hidden": "true" });
    frame.append(picture(left), label(left, "left"));
    if (!right) return frame;
    const over = picture(right),
      tag = label(right, "right"),
      line = el("i", {});
    const slide = (value) => {
      this.at = +value;
      over.style.clipPath = `inset(0 0 0 ${value}%)`;
      line.style.left = value + "%";
    };
    const range = el("input", {
      type: "range",
      min: 0,
      max: 100,
      step: 1,
      value: this.at,
      "data-key": "wipe",
      "aria-label": `Wipe between ${title[left]} and ${title[right]}`,
      oninput: (e) => slide(e.target.value),
    });
    frame.append(over, tag, line, range);
    slide(this.at);
    return frame;
  }

  // ---------------------------------------------------------------- sound
  sound(i, media) {
    if (!media || (!media.sound && !media.note)) return null;
    const box = el("section", { class: "soundit-sound", "aria-label": "Sound" }, el("h3", { text: "Soundscape" }));
    if (media.sound) {
      const player = el("audio", {
          controls: true,
          preload: "none",
          src: media.sound,
          "aria-label": `Soundscape of ${this.app.data.names[i]}`,
        }),
        line = el("i", {});
      const picture = el(
        "div",
        { class: "soundit-spectrogram" },
        el("img", {
          src: media.spectrogram,
          alt: `Spectrogram: ${media.seconds.toFixed(1)} s, 0 to ${(media.hertz / 1000).toFixed(1)} kHz`,
        }),
        line,
        el("span", { class: "soundit-hertz", text: `${(media.hertz / 1000).toFixed(media.hertz % 1000 ? 1 : 0)} kHz` }),
        el("span", { class: "soundit-zero", text: "0" }),
        el("span", { class: "soundit-seconds", text: `${media.seconds.toFixed(media.seconds % 1 ? 1 : 0)} s` }),
      );
      const follow = () => {
        line.style.left = (100 * player.currentTime) / media.seconds + "%";
        line.hidden = !player.currentTime;
      };
      const step = () => {
        follow();
        if (!player.paused && player.isConnected) requestAnimationFrame(step);
      };
      player.addEventListener("play", step);
      player.addEventListener("timeupdate", follow);
      player.addEventListener("seeked", follow);
      line.hidden = true;
      picture.addEventListener("click", (event) => {
        const at = picture.getBoundingClientRect();
        player.currentTime = ((event.clientX - at.left) / at.width) * media.seconds;
        player.play();
      });
      box.append(picture, player);
    }
    if (media.note) box.append(el("p", { class: "soundit-note", text: media.note }));
    return box;
  }

  // ---------------------------------------------------------------- scores
  scores(i, pair) {
    const { data } = this.app;
    if (pair.every(([, scenario]) => data.states[scenario][i] !== DONE)) return [];
    const of = (group) =>
      data.variables.map((variable, k) => [variable, k]).filter(([variable]) => variable.group === group);
    const perceptions = of("Perception"),
      reach = perceptions[0][0].reach,
      draws = Math.max(...pair.map(([, scenario]) => data.draw_counts[scenario][i]));
    return [
      el(
        "section",
        { class: "soundit-perception", "aria-label": "Perception" },
        el("h3", { text: `Perception, ${reach.join("–")}` }),
        this.radar(i, pair, perceptions),
        this.rows(i, pair, perceptions, ""),
        el("p", {
          class: "soundit-note",
          text:
            draws > 1
              ? `Means of ${draws} draws ± half of the 95 % interval; * the change differs from 0. ` +
                "For depressing and boring, higher is worse."
              : "One draw. For depressing and boring, higher is worse.",
        }),
      ),
      this.block(i, pair, of("Urban indicators"), "Share of the picture"),
      this.block(i, pair, of("Likeness to the photo (PSS)"), "Likeness to the photo"),
    ].filter(Boolean);
  }
  half(k, scenario, i) {
    const { data } = this.app,
      errors = data.error(k, scenario);
    return errors ? data.half(errors[i], data.draw_counts[scenario][i]) : NaN;
  }
  block(i, pair, variables, title) {
    const { data } = this.app;
    if (!variables.length) return null;
    const top = variables[0][0].percent
      ? Math.max(...variables.flatMap(([, k]) => pair.map(([, s]) => data.column(k, s)[i])).filter(known), 0.01)
      : 0;
    return el("section", { class: "soundit-tables", "aria-label": title }, this.rows(i, pair, variables, title, top));
  }
  rows(i, pair, variables, title, top) {
    const { data, state } = this.app,
      two = pair.length === 2,
      body = el("tbody");
    for (const [variable, k] of variables) {
      const values = pair.map(([, scenario]) => data.column(k, scenario)[i]),
        [from, to] = variable.reach,
        digits = variable.percent ? 0 : to - from > 2 ? 1 : 2;
      const change = two ? data.change(k, pair[0][1], pair[1][1]) : null,
        row = el(
          "tr",
          { class: k === state.variable ? "soundit-chosen" : null },
          el("th", {
            scope: "row",
            text: variable.label,
            title: [variable.words, variable.about].filter(Boolean).join("; "),
          }),
        );
      if (title) {
        const bars = el("td", { class: "soundit-bars" });
        values.forEach((value, n) => {
          const bar = el("i", { class: "soundit-" + pair[n][0].toLowerCase() });
          bar.style.width =
            (known(value) ? Math.max(0, Math.min(1, (value - from) / ((top || to) - from))) * 100 : 0) + "%";
          bars.append(bar);
        });
        row.append(bars);
      }
      values.forEach((value, n) => {
        const half = this.half(k, pair[n][1], i);
        row.append(
          el(
            "td",
            {},
            el("span", { text: format(value, variable, digits) }),
            !title && known(half) ? el("small", { text: ` ±${format(half, variable, digits)}` }) : null,
          ),
        );
      });
      if (two)
        row.append(
          el(
            "td",
            { class: "soundit-change" },
            el("span", { text: format(values[0] - values[1], variable, digits, true) }),
            el("abbr", { title: "differs from 0", text: change && change.sure[i] ? "*" : "" }),
          ),
        );
      body.append(row);
    }
    return el(
      "table",
      { class: "soundit-scores" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("th", { scope: "col", text: title }),
          title ? el("td", {}) : null,
          ...pair.map(([letter]) => el("th", { scope: "col" }, badge(letter))),
          two ? el("th", { scope: "col", text: "A − B" }) : null,
        ),
      ),
      body,
    );
  }
  radar(i, pair, perceptions) {
    const { data } = this.app,
      size = 96,
      [low, high] = perceptions[0][0].reach,
      count = perceptions.length;
    const at = (n, value) => {
      const far = size * Math.min(1, Math.max(0, (value - low) / (high - low))),
        turn = (2 * Math.PI * n) / count - Math.PI / 2;
      return [far * Math.cos(turn), far * Math.sin(turn)];
    };
    const ring = (part) =>
      svg("polygon", {
        class: "soundit-ring",
        points: perceptions
          .map((_, n) =>
            at(n, low + (high - low) * part)
              .map((v) => v.toFixed(1))
              .join(),
          )
          .join(" "),
      });
    const score = ([letter, s], variable, k) => `${letter} ${format(data.column(k, s)[i], variable, 1)}`;
    const words = perceptions
      .map(([variable, k]) => `${variable.label} ${pair.map((one) => score(one, variable, k)).join(", ")}`)
      .join("; ");
    const drawing = svg(
      "svg",
      { class: "soundit-radar", viewBox: "-170 -122 340 244", role: "img", "aria-label": `Radar: ${words}` },
      ring(1),
      ring(0.75),
      ring(0.5),
      ring(0.25),
    );
    perceptions.forEach(([variable], n) => {
      const [x, y] = at(n, high),
        [tx, ty] = [x * 1.1, y * 1.1 + 4];
      drawing.append(
        svg("line", { class: "soundit-ring", x1: 0, y1: 0, x2: x, y2: y }),
        svg("text", {
          x: tx,
          y: ty + (Math.abs(x) < 1 ? (y < 0 ? -2 : 6) : 0),
          "text-anchor": Math.abs(x) < 1 ? "middle" : x > 0 ? "start" : "end",
          text: variable.label,
        }),
      );
    });
    for (const [letter, scenario] of [...pair].reverse()) {
      const values = perceptions.map(([, k]) => data.column(k, scenario)[i]);
      if (!values.every(known)) continue;
      const group = svg(
        "g",
        { class: "soundit-" + letter.toLowerCase() },
        svg("polygon", {
          points: values
            .map((value, n) =>
              at(n, value)
                .map((v) => v.toFixed(1))
                .join(),
            )
            .join(" "),
        }),
      );
      values.forEach((value, n) => {
        const half = this.half(perceptions[n][1], scenario, i),
          [x, y] = at(n, value);
        if (known(half)) {
          const [x1, y1] = at(n, value - half),
            [x2, y2] = at(n, value + half);
          group.append(svg("line", { x1, y1, x2, y2 }));
        }
        group.append(svg("circle", { cx: x, cy: y, r: 3 }));
      });
      drawing.append(group);
    }
    return drawing;
  }

  // ---------------------------------------------------------------- what is seen, and origin
  seen(i, pair) {
    const { data } = this.app,
      list = (what, scenario) =>
        el(
          "ol",
          {},
          ...data
            .ranked(what, scenario, i)
            .map(([name, share]) =>
              el("li", {}, el("span", { text: name }), el("span", { text: `${Math.round(share * 100)} %` })),
            ),
        );
    const some = pair.filter(([, scenario]) => data.states[scenario][i] === DONE);
    return some.length
      ? el(
          "section",
          { class: "soundit-seen", "aria-label": "Seen in the pictures" },
          el("h3", { text: "Seen in the pictures" }),
          el(
            "div",
            { class: "soundit-columns" },
            ...some.map(([letter, scenario]) =>
              el(
                "div",
                {},
                el("h4", {}, badge(letter), "Scenes"),
                list("scenes", scenario),
                el("h4", { text: "Elements" }),
                list("elements", scenario),
              ),
            ),
          ),
        )
      : null;
  }
  origin(i, pair) {
    const { data, state } = this.app,
      facts = [`${data.lat[i].toFixed(5)}°, ${data.lon[i].toFixed(5)}°`];
    const noise = pair.length === 2 ? ": A and B start from the same noise" : "";
    if (data.seed) facts.push(`seed ${data.seed}, draw ${data.draws[state.draw] + 1}${noise}`);
    return el("p", { class: "soundit-note soundit-origin", text: facts.join(" · ") });
  }
}
