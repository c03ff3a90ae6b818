// The cube's columns, unpacked when they are first asked for.

const PENDING = 0,
  DONE = 1,
  FAILED = 2,
  NO_VALUE = 65535,
  NO_ERROR = 255;

class Data {
  constructor(id) {
    const raw = JSON.parse(document.getElementById(id + "-data").textContent);
    Object.assign(this, raw);
    this.id = id;
    this.names = raw.sites.name;
    this.messages = raw.sites.message;
    this.count = this.names.length;
    const degrees = (text) => Float64Array.from(unpack(text, Int32Array), (value) => value / 1e7);
    this.lon = degrees(raw.sites.lon);
    this.lat = degrees(raw.sites.lat);
    // Web Mercator, the world from 0 to 1: what Leaflet's projection gives, without an object per site.
    this.x = this.lon.map((value) => value / 360 + 0.5);
    this.y = this.lat.map(mercator);
    this.states = raw.state.map((text) => unpack(text, Uint8Array));
    this.draw_counts = raw.counted.map((text) => unpack(text, Uint8Array));
    this.numbers = raw.variables.length;
    this.variables = [
      ...raw.variables,
      {
        key: "scene",
        label: "Scene",
        group: "Scene",
        words: "what the landscape is seen as, mean over draws",
        classes: true,
        about: "",
      },
    ];
    this.kept = new Map();
  }

  once(key, make) {
    if (!this.kept.has(key)) this.kept.set(key, make());
    return this.kept.get(key);
  }

  place(key) {
    return this.variables.findIndex((variable) => variable.key === key);
  }

  // The values of variable k in one scenario; class ids (-1 = none, as NaN) of the scene.
  column(k, scenario) {
    return this.once(`${k}/${scenario}`, () => {
      if (this.variables[k].classes)
        return Float64Array.from(unpack(this.scenes.id[scenario][0], Int16Array), (id) => (id < 0 ? NaN : id));
      const { low, step, values } = this.variables[k];
      return Float64Array.from(unpack(values[scenario], Uint16Array), (code) =>
        code === NO_VALUE ? NaN : low + step * code,
      );
    });
  }

  error(k, scenario) {
    const errors = this.variables[k].errors;
    return errors ? this.once(`${k}/${scenario}/error`, () => spread(errors.top, errors.values[scenario])) : null;
  }

  // What is known of the change between two scenarios: its standard error, and where it differs from 0.
  change(k, a, b) {
    const changes = this.variables[k].changes,
      known = changes && changes[`${Math.min(a, b)}-${Math.max(a, b)}`];
    return known
      ? this.once(`${k}/${Math.min(a, b)}-${Math.max(a, b)}/change`, () => {
          const bytes = unpack(known.sure, Uint8Array);
          return {
            error: spread(known.top, known.values[0]),
            sure: Uint8Array.from({ length: this.count }, (_, i) => (bytes[i >> 3] >> (i & 7)) & 1),
          };
        })
      : null;
  }

  difference(k, a, b) {
    return this.once(`${k}/${a}/${b}`, () => {
      const first = this.column(k, a),
        second = this.column(k, b);
      // Of classes, the difference is A's class where B has another.
      if (this.variables[k].classes)
        return first.map((value, i) => (value !== second[i] && known(second[i]) ? value : NaN));
      return first.map((value, i) => value - second[i]);
    });
  }

  counts(a, b) {
    return this.draw_counts[a].map((count, i) => Math.min(count, this.draw_counts[b][i]));
  }

  half(error, count) {
    return error * (this.half_widths[count] || NaN);
  }

  prompt(scenario, i) {
    const codes = this.prompts.codes[scenario];
    return this.prompts.texts[Array.isArray(codes) ? codes[i] : codes];
  }

  // The first few scenes or elements of a site: [[name, share], ...].
  ranked(what, scenario, i) {
    const { names, id, share } = this[what],
      type = what === "scenes" ? Int16Array : Uint8Array,
      none = what === "scenes" ? -1 : 255;
    return id[scenario]
      .map((_, rank) => {
        const ids = this.once(`${what}/${scenario}/${rank}`, () => unpack(id[scenario][rank], type));
        const shares = this.once(`${what}/${scenario}/${rank}/share`, () => unpack(share[scenario][rank], Uint8Array));
        return ids[i] === none ? null : [names[ids[i]], shares[i] / 255];
      })
      .filter(Boolean);
  }

  className(place) {
    return this.scenes.names[place];
  }

  // Class ids by how many sites have them in any scenario, the commonest first.
  classOrder() {
    return this.once("classes", () => {
      const counts = new Map();
      this.scenarios.forEach((_, s) => {
        for (const id of this.column(this.numbers, s)) if (known(id)) counts.set(id, (counts.get(id) || 0) + 1);
      });
      return [...counts].sort((one, two) => two[1] - one[1] || one[0] - two[0]).map(([id]) => id);
    });
  }
  classColour(id) {
    const place = this.classOrder().indexOf(id);
    return place < CLASSES.length ? CLASSES[place] : OTHERS;
  }

  hexes(size) {
    return this.once("hexes/" + size, () => {
      let cell = unpack(this.hexagons[0].cell, Uint32Array);
      for (let k = 1; k <= size; k++) {
        const parent = unpack(this.hexagons[k].cell, Uint32Array);
        cell = cell.map((at) => parent[at]);
      }
      const { corners, lon, lat, edge } = this.hexagons[size];
      const x = Float64Array.from(unpack(lon, Int32Array), (value) => value / 3.6e9 + 0.5),
        y = Float64Array.from(unpack(lat, Int32Array), (value) => mercator(value / 1e7));
      return { cell, corners, x, y, edge, count: x.length / corners };
    });
  }

  surface(k, a, b) {
    // the grid of a scenario, or of A − B
    const grid = this.surfaces[this.variables[k].key];
    if (!grid) return null;
    const [first, second] = [a, b].map((scenario) => grid.scenarios.indexOf(scenario));
    if (first < 0 || (b !== undefined && second < 0)) return null;
    const decode = (at) =>
      Float64Array.from(unpack(grid.values[at], Uint16Array), (code) =>
        code === NO_VALUE ? NaN : grid.low + grid.step * code,
      );
    const values = this.once(`surface/${k}/${a}/${b}`, () => {
      const one = decode(first);
      if (b === undefined) return one;
      const two = decode(second);
      return one.map((value, i) => value - two[i]);
    });
    return { ...grid, values };
  }

  // The addresses of a site's pictures and sound: in a block of its own where they are data, in one block for all else.
  media(i) {
    if (!this.media_on) return null;
    const read = (name) => {
      const block = document.getElementById(`${this.id}-${name}`);
      return block && JSON.parse(block.textContent);
    };
    const all = this.once("media", () => read("media"));
    return all ? all[i] : this.once("media/" + i, () => read("media-" + i));
  }
}

function mercator(lat) {
  const sine = Math.sin((Math.min(85.0511287798, Math.max(-85.0511287798, lat)) * Math.PI) / 180);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
}

function spread(top, text) {
  return Float64Array.from(unpack(text, Uint8Array), (code) => (code === NO_ERROR ? NaN : top * (code / 254) ** 2));
}

function ends(column) {
  let low = Infinity,
    high = -Infinity;
  for (const value of column)
    if (known(value)) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  return [low, high];
}
