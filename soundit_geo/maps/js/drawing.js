// Sites, hexagons and surfaces on one canvas over a Leaflet map.

const MANY = 20000; // from here on a moving map carries its picture along, and draws anew when it rests
const DENSE = 5000; // from here on sites are set pixel by pixel

const SiteLayer = L.Layer.extend({
  initialize: function (app, which) {
    this.app = app;
    this.which = which;
    this.atlases = new Map();
  },
  onAdd: function (map) {
    const pane = map.getPane("soundit-sites") || map.createPane("soundit-sites");
    pane.style.zIndex = 450;
    pane.style.pointerEvents = "none";
    this.canvas = el("canvas", { class: "leaflet-zoom-animated soundit-canvas", "aria-hidden": "true" });
    pane.append(this.canvas);
    this.redraw();
  },
  onRemove: function () {
    this.canvas.remove();
  },
  getEvents: function () {
    return {
      move: () => {
        if (this.app.data.count < MANY) this.redraw();
      },
      moveend: this.redraw,
      resize: this.redraw,
      viewreset: this.redraw,
      zoomanim: this.animate,
    };
  },
  animate: function (event) {
    const scale = this._map.getZoomScale(event.zoom),
      corner = this._map._latLngBoundsToNewLayerBounds(this.bounds, event.zoom, event.center).min;
    L.DomUtil.setTransform(this.canvas, corner, scale);
  },
  radius: function () {
    const { app } = this,
      count = app.data.count,
      base = count > 30000 ? 2 : count > 2000 ? 3.5 : count > 400 ? 5.5 : app.narrow ? 6.5 : 8;
    const grown = base + Math.min(3, Math.max(-2, (this._map.getZoom() - app.homeZoom) * 0.6));
    return app.state.layer === "points" ? Math.max(2, grown) : Math.max(1.6, grown * 0.3);
  },
  // From Mercator's world to pixels of the map's container: x × scale + shift.
  frame: function () {
    const map = this._map,
      origin = map.getPixelOrigin(),
      shift = map.layerPointToContainerPoint([0, 0]);
    return { scale: 256 * 2 ** map.getZoom(), left: shift.x - origin.x, top: shift.y - origin.y };
  },
  // What is drawn where: one pass, or two on either side of the swipe's edge.
  passes: function () {
    const { state } = this.app;
    if (state.view !== "swipe") return [{ which: this.which, from: 0, to: 1 }];
    return [
      { which: "a", from: 0, to: state.swipe },
      { which: "b", from: state.swipe, to: 1 },
    ];
  },
  // Pixels of each site; sites of one place fan out around it.
  places: function () {
    const { data, fans } = this.app,
      { scale, left, top } = this.frame(),
      radius = this.radius(),
      places = new Float64Array(data.count * 2);
    for (let i = 0; i < data.count; i++) {
      places[2 * i] = data.x[i] * scale + left;
      places[2 * i + 1] = data.y[i] * scale + top;
    }
    for (const [i, [x, y]] of fans) {
      places[2 * i] += x * radius;
      places[2 * i + 1] += y * radius;
    }
    return places;
  },
  redraw: function () {
    const map = this._map,
      { app } = this;
    if (!map || !map._loaded || !app.ready) return;
    const size = map.getSize(),
      pad = size.multiplyBy(0.25).round(),
      ratio = window.devicePixelRatio || 1,
      { canvas } = this;
    const width = size.x + 2 * pad.x,
      height = size.y + 2 * pad.y;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = width + "px";
      canvas.style.height = height + "px";
    }
    const corner = map.containerPointToLayerPoint(pad.multiplyBy(-1));
    L.DomUtil.setPosition(canvas, corner);
    this.bounds = L.latLngBounds(map.layerPointToLatLng(corner), map.layerPointToLatLng(corner.add([width, height])));
    const pen = (this.pen = canvas.getContext("2d")),
      area = { left: -pad.x, top: -pad.y, right: size.x + pad.x, bottom: size.y + pad.y };
    pen.setTransform(ratio, 0, 0, ratio, pad.x * ratio, pad.y * ratio);
    pen.clearRect(area.left, area.top, width, height);
    this.drawn = this.places();
    if (app.data.count >= DENSE && app.state.layer === "points") {
      this.stamp(pad, size, ratio);
      return;
    }
    for (const { which, from, to } of this.passes()) {
      pen.save();
      pen.beginPath();
      const left = from ? from * size.x : area.left,
        right = to < 1 ? to * size.x : area.right;
      pen.rect(left, area.top, right - left, height);
      pen.clip();
      const part = { ...area, left, right };
      if (app.state.layer === "hexagons") this.drawHexagons(which, part);
      if (app.state.layer === "surface") this.drawSurface(which);
      if (app.state.layer === "points" || app.data.count <= 2000) this.drawSites(which, part, ratio);
      pen.restore();
    }
  },

  // ---------------------------------------------------------------- points
  // Ready-made dots, one per colour, and after them: no value, failed, put aside.
  atlas: function (colours, radius, ratio, plain) {
    const { app } = this,
      key = [colours.length, colours[0], colours[1], radius, ratio, app.dark].join();
    if (this.atlases.has(key)) return this.atlases.get(key);
    if (this.atlases.size > 12) this.atlases.clear();
    const { look } = app,
      side = Math.ceil((radius + 3) * ratio) * 2,
      across = 16,
      total = colours.length + 3;
    const sheet = el("canvas", { width: side * across, height: side * Math.ceil(total / across) }),
      pen = sheet.getContext("2d");
    for (let k = 0; k < total; k++) {
      pen.setTransform(ratio, 0, 0, ratio, ((k % across) + 0.5) * side, (Math.floor(k / across) + 0.5) * side);
      const extra = k - colours.length;
      if (extra < 0 && plain)
        for (const [size, colour] of [
          [radius + 1, look.ring],
          [radius, look.ink],
        ]) {
          pen.beginPath();
          pen.arc(0, 0, size, 0, 7);
          pen.fillStyle = colour;
          pen.fill();
        }
      else if (extra < 0) this.dot(pen, 0, 0, radius, colours[k]);
      else if (extra < 2) this.hole(pen, 0, 0, radius, extra === 1);
      else {
        pen.beginPath();
        pen.arc(0, 0, Math.max(1.4, radius * 0.42), 0, 7);
        pen.fillStyle = look.faint;
        pen.fill();
      }
    }
    const atlas = { sheet, side, across };
    this.atlases.set(key, atlas);
    return atlas;
  },
  dot: function (pen, x, y, radius, colour) {
    const { look } = this.app;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 7);
    pen.fillStyle = colour;
    pen.fill();
    if (radius < 2.5) return;
    if (radius >= 4.5) {
      pen.lineWidth = 1.6;
      pen.strokeStyle = look.ring;
      pen.stroke();
      pen.beginPath();
      pen.arc(x, y, radius + 1.2, 0, 7);
    }
    pen.lineWidth = radius >= 4.5 ? 0.9 : 0.6;
    pen.strokeStyle = look.rim;
    pen.stroke();
  },
  hole: function (pen, x, y, radius, failed) {
    const { look } = this.app;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 7);
    pen.fillStyle = look.hollow;
    pen.fill();
    pen.lineWidth = radius >= 4.5 ? 2 : 1;
    pen.strokeStyle = failed ? look.alarm : look.quiet;
    pen.setLineDash(failed ? [] : [3, 3]);
    pen.stroke();
    pen.setLineDash([]);
  },
  drawSites: function (which, area, ratio) {
    const { pen, app, drawn } = this,
      { state, data } = app,
      radius = this.radius(),
      plain = state.layer !== "points";
    const shown = app.shown(which),
      visible = app.visible(which),
      colours = plain ? [app.look.rim] : shown.colours;
    if (!plain) this.drawSpokes(radius);
    const { sheet, side, across } = this.atlas(colours, radius, ratio, plain),
      half = side / ratio / 2,
      extent = side / ratio,
      size = colours.length,
      last = [];
    const stamp = (i, k) => {
      const x = Math.round((drawn[2 * i] - half) * ratio) / ratio,
        y = Math.round((drawn[2 * i + 1] - half) * ratio) / ratio;
      pen.drawImage(sheet, (k % across) * side, Math.floor(k / across) * side, side, side, x, y, extent, extent);
    };
    for (let round = 0; round < 2; round++)
      for (let i = 0; i < data.count; i++) {
        // what was put aside lies beneath
        if (visible[i] !== round) continue;
        const x = drawn[2 * i],
          y = drawn[2 * i + 1];
        if (x < area.left - half || y < area.top - half || x > area.right + half || y > area.bottom + half) continue;
        if (i === state.site || i === app.hover) {
          last.push(i);
          continue;
        }
        const value = shown.values[i];
        stamp(
          i,
          !round
            ? size + 2
            : plain
              ? 0
              : known(value)
                ? shown.level(value)
                : shown.quiet
                  ? size + 2
                  : size + (app.stateOf(which, i) === FAILED ? 1 : 0),
        );
      }
    for (const i of last) this.mark(which, i, shown, radius);
  },
  // Very many sites are set pixel by pixel: plain discs with a rim, the canvas filled in one go.
  stamp: function (pad, size, ratio) {
    const { canvas, pen, app, drawn } = this,
      { state, data } = app,
      { width, height } = canvas,
      radius = this.radius();
    const image = this.sheet(width, height),
      pixels = new Uint32Array(image.data.buffer),
      marks = [];
    const packed = (colour) => {
      const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
      return ((Math.round(a * 255) << 24) | (b << 16) | (g << 8) | r) >>> 0;
    };
    const [edge, faint, hollow] = [app.look.rim, app.look.faint, css(channels(app.look.hollow))].map(packed);
    const dot = disc(radius * ratio, width),
      speck = disc(Math.max(1, radius * 0.4) * ratio, width);
    const inside = new Set(dot.steps),
      rim = disc((radius + 0.8) * ratio, width, (step) => !inside.has(step));
    for (const { which, from, to } of this.passes()) {
      const shown = app.shown(which),
        visible = app.visible(which);
      const colours = shown.colours.map((colour) => packed(colour[0] === "#" ? css(channels(colour)) : colour));
      const left = from ? Math.round((from * size.x + pad.x) * ratio) : 0;
      const right = to < 1 ? Math.round((to * size.x + pad.x) * ratio) : width;
      const fill = ({ reach, steps, places }, x, y, colour) => {
        if (x - reach >= left && x + reach < right && y - reach >= 0 && y + reach < height) {
          for (let k = 0, middle = y * width + x; k < steps.length; k++) pixels[middle + steps[k]] = colour;
          return;
        }
        for (const [dx, dy] of places) {
          const column = x + dx,
            row = y + dy;
          if (column >= left && column < right && row >= 0 && row < height) pixels[row * width + column] = colour;
        }
      };
      for (let round = 0; round < 2; round++)
        for (let i = 0; i < data.count; i++) {
          if (visible[i] !== round) continue;
          const x = Math.round((drawn[2 * i] + pad.x) * ratio - 0.5),
            y = Math.round((drawn[2 * i + 1] + pad.y) * ratio - 0.5);
          if (x + rim.reach < left || y + rim.reach < 0 || x - rim.reach >= right || y - rim.reach >= height) continue;
          const value = shown.values[i],
            none = !known(value);
          if (!round || (none && shown.quiet)) {
            fill(speck, x, y, faint);
            continue;
          }
          fill(rim, x, y, edge);
          fill(dot, x, y, none ? hollow : colours[shown.level(value)]);
          if (i === state.site || i === app.hover) marks.push([which, i, shown]);
        }
    }
    pen.putImageData(image, 0, 0);
    for (const [which, i, shown] of marks) this.mark(which, i, shown, radius);
  },
  sheet: function (width, height) {
    const { image } = this;
    if (image && image.width === width && image.height === height) image.data.fill(0);
    else this.image = new ImageData(width, height);
    return this.image;
  },
  mark: function (which, i, shown, radius) {
    const { pen, app, drawn } = this,
      { look } = app,
      x = drawn[2 * i],
      y = drawn[2 * i + 1],
      value = shown.values[i],
      full = Math.max(radius, 4) + 1.5;
    if (i === app.state.site) {
      pen.beginPath();
      pen.arc(x, y, full + 4.5, 0, 7);
      pen.strokeStyle = look.ink;
      pen.lineWidth = 2.5;
      pen.stroke();
      pen.beginPath();
      pen.arc(x, y, full + 2.5, 0, 7);
      pen.strokeStyle = look.ring;
      pen.lineWidth = 2;
      pen.stroke();
    }
    if (known(value)) this.dot(pen, x, y, full, shown.colours[shown.level(value)]);
    else this.hole(pen, x, y, full, app.stateOf(which, i) === FAILED);
  },
  drawSpokes: function (radius) {
    // from a shared place to its sites
    const { pen, app, drawn } = this,
      { look } = app;
    pen.lineWidth = 1;
    pen.strokeStyle = look.rim;
    pen.fillStyle = look.rim;
    for (const group of app.groups) {
      const [dx, dy] = app.fans.get(group[0]),
        x = drawn[2 * group[0]] - dx * radius,
        y = drawn[2 * group[0] + 1] - dy * radius;
      pen.beginPath();
      for (const k of group) {
        pen.moveTo(x, y);
        pen.lineTo(drawn[2 * k], drawn[2 * k + 1]);
      }
      pen.stroke();
      pen.beginPath();
      pen.arc(x, y, 2.2, 0, 7);
      pen.fill();
    }
  },

  // ---------------------------------------------------------------- hexagons
  drawHexagons: function (which, area) {
    const { pen, app } = this,
      { scale, left, top } = this.frame(),
      shown = app.shown(which),
      { hexes, values } = app.means(which),
      { corners, x, y } = hexes;
    pen.lineWidth = 1;
    pen.strokeStyle = app.look.land;
    pen.lineJoin = "round";
    for (let k = 0; k < hexes.count; k++) {
      if (!known(values[k])) continue;
      const px = x[k * corners] * scale + left,
        py = y[k * corners] * scale + top,
        wide =
          Math.abs(x[k * corners + 3] - x[k * corners]) * scale + Math.abs(y[k * corners + 3] - y[k * corners]) * scale;
      if (px < area.left - wide || px > area.right + wide || py < area.top - wide || py > area.bottom + wide) continue;
      pen.beginPath();
      for (let c = 0; c < corners; c++) pen.lineTo(x[k * corners + c] * scale + left, y[k * corners + c] * scale + top);
      pen.closePath();
      pen.fillStyle = shown.colours[shown.level(values[k])];
      pen.fill();
      pen.stroke();
    }
  },
  pickHexagon: function (point) {
    const { app } = this,
      { scale, left, top } = this.frame(),
      { hexes, values } = app.means(this.whichAt(point)),
      { corners, x, y } = hexes;
    const px = (point.x - left) / scale,
      py = (point.y - top) / scale;
    for (let k = 0; k < hexes.count; k++) {
      if (!known(values[k])) continue;
      let inside = false;
      for (let c = 0, d = corners - 1; c < corners; d = c++) {
        const cx = x[k * corners + c],
          cy = y[k * corners + c],
          dx = x[k * corners + d],
          dy = y[k * corners + d];
        if (cy > py !== dy > py && px < ((dx - cx) * (py - cy)) / (dy - cy) + cx) inside = !inside;
      }
      if (inside) return k;
    }
    return -1;
  },

  // ---------------------------------------------------------------- surface
  drawSurface: function (which) {
    const { pen, app } = this,
      grid = app.grid(which);
    if (!grid) return;
    const shown = app.shown(which),
      key = ["grid", app.keyOf(which), app.state.filter].join(),
      { rows, columns } = grid,
      { scale, left, top } = this.frame();
    if (this.gridKey !== key) {
      const image = new ImageData(columns, rows);
      grid.values.forEach((value, k) => {
        if (!known(value) || !app.within(value)) return;
        image.data.set(colourOf(shown.scale, value), 4 * k);
        image.data[4 * k + 3] = 255;
      });
      this.gridImage = el("canvas", { width: columns, height: rows });
      this.gridImage.getContext("2d").putImageData(image, 0, 0);
      if (app.state.view !== "swipe") this.gridKey = key;
    }
    const edge = (row) => Math.round(mercator(grid.north - ((grid.north - grid.south) * row) / rows) * scale + top);
    const west = Math.round((grid.west / 360 + 0.5) * scale + left),
      east = Math.round((grid.east / 360 + 0.5) * scale + left);
    pen.imageSmoothingEnabled = false;
    for (let row = 0; row < rows; row++)
      pen.drawImage(this.gridImage, 0, row, columns, 1, west, edge(row), east - west, edge(row + 1) - edge(row));
    pen.imageSmoothingEnabled = true;
  },

  // ---------------------------------------------------------------- pointing
  whichAt: function (point) {
    const passes = this.passes();
    return passes.length === 1 || point.x < passes[0].to * this._map.getSize().x ? passes[0].which : passes[1].which;
  },
  pick: function (point, slack) {
    const { app, drawn } = this,
      visible = app.visible(this.whichAt(point));
    let best = -1,
      least = (Math.max(this.radius(), 4) + slack) ** 2;
    for (let i = 0; i < app.data.count; i++) {
      const distance = (drawn[2 * i] - point.x) ** 2 + (drawn[2 * i + 1] - point.y) ** 2;
      if (distance <= least && visible[i]) {
        least = distance;
        best = i;
      }
    }
    return best;
  },
});

// The pixels of a disc: how far they lie from its middle in a picture of that width, and as columns and rows.
function disc(far, width, wanted = () => true) {
  const reach = Math.floor(far),
    steps = [],
    places = [];
  for (let dy = -reach; dy <= reach; dy++) {
    const half = Math.floor(Math.sqrt(far * far - dy * dy));
    for (let dx = -half; dx <= half; dx++) {
      const step = dy * width + dx;
      if (!wanted(step)) continue;
      steps.push(step);
      places.push([dx, dy]);
    }
  }
  return { reach, steps: Int32Array.from(steps), places };
}
