// Base layers: polygons, lines and their names beneath the sites.

class Base {
  constructor(app) {
    this.app = app;
    this.layers = [];
    this.labels = [];
  }

  dress(map) {
    const shapes = map.getPane("soundit-base") || map.createPane("soundit-base"),
      labels = map.createPane("soundit-labels");
    shapes.style.zIndex = 250;
    shapes.style.pointerEvents = "none";
    labels.style.zIndex = 350;
    labels.style.pointerEvents = "none";
    const renderer = L.canvas({ pane: "soundit-base", padding: 0.5 });
    for (const layer of this.app.data.base) {
      const lines = layer.features.some((feature) => feature.geometry && /Line/.test(feature.geometry.type));
      for (const round of layer.kind === "road" && lines ? ["casing", "stroke"] : ["stroke"]) {
        const drawn = L.geoJSON(layer.features, {
          renderer,
          pane: "soundit-base",
          interactive: false,
          pointToLayer: (_, at) => L.circleMarker(at, { renderer, radius: 3, interactive: false }),
        });
        drawn.addTo(map);
        this.layers.push({ drawn, kind: layer.kind, round });
      }
      if (layer.kind === "district" || layer.kind === "park")
        for (const feature of layer.features) this.name(map, layer.kind, feature);
    }
    map.on("zoomend viewreset", () => this.thin(map));
    this.paint();
    this.thin(map);
  }
  name(map, kind, feature) {
    const name = feature.properties && feature.properties.name;
    if (!name || !/Polygon/.test(feature.geometry.type)) return;
    const bounds = L.geoJSON(feature).getBounds(),
      label = el("div", { class: `soundit-label soundit-label-${kind}`, text: name });
    this.labels.push({ map, label, kind, bounds });
    L.marker(bounds.getCenter(), {
      pane: "soundit-labels",
      interactive: false,
      keyboard: false,
      icon: L.divIcon({ className: "soundit-anchor", html: label, iconSize: null }),
    }).addTo(map);
  }
  // A label gives way to sites, upwards or downwards, where there are few; one that does not fit into its polygon, or
  // would lie on another, is left out. Districts go first, and stay where they cannot give way.
  thin(map) {
    if (!map._loaded) return;
    const { data } = this.app,
      placed = [],
      first = (entry) => (entry.kind === "district" ? 0 : 1),
      sites = [];
    for (let i = 0; i < data.count && data.count <= 500; i++)
      sites.push(map.latLngToLayerPoint([data.lat[i], data.lon[i]]));
    for (const { map: owner, kind, label, bounds } of [...this.labels].sort((a, b) => first(a) - first(b))) {
      if (owner !== map) continue;
      const west = map.latLngToLayerPoint(bounds.getSouthWest()),
        east = map.latLngToLayerPoint(bounds.getNorthEast());
      const { x, y } = map.latLngToLayerPoint(bounds.getCenter());
      const wide = label.offsetWidth / 2 + 3,
        high = label.offsetHeight / 2 + 2,
        room = (west.y - east.y) / 2 - 13;
      const free = (shift) =>
        sites.every((site) => Math.abs(site.x - x) > wide + 6 || Math.abs(site.y - y - shift) > high + 6);
      const found = [0, 18, -18, 30, -30].find((one) => Math.abs(one) < room && free(one)),
        shift = found || 0;
      const clear = placed.every(
        ([cx, cy, w, h]) => Math.abs(cx - x) > w + wide || Math.abs(cy - y - shift) > h + high,
      );
      const fits = clear && east.x - west.x > 2 * wide && room > 0 && (kind === "district" || found !== undefined);
      label.style.visibility = fits ? "visible" : "hidden";
      label.style.translate = `0 ${shift}px`;
      if (fits) placed.push([x, y + shift, wide, high]);
    }
  }
  // A layer's own colour; in the dark only a tint of it, over the colour of its kind.
  own(colour, kind) {
    if (!colour || !this.app.dark) return colour || kind;
    if (!/^#[0-9a-f]{6}$/i.test(colour)) return kind;
    return css(channels(kind).map((value, k) => Math.round(value * 0.86 + channels(colour)[k] * 0.14)));
  }
  paint() {
    const { look } = this.app;
    for (const { drawn, kind, round } of this.layers) {
      const kinds = look[kind === "land" ? "landmass" : kind] || look.other;
      drawn.setStyle((feature) => {
        const own = feature.properties || {},
          line = /Line/.test(feature.geometry.type);
        const colour = round === "casing" ? kinds.casing : this.own(own.stroke, kinds.stroke),
          weight = line && own.width > 0 ? own.width : kinds.weight;
        return {
          color: colour,
          weight: line ? weight + (round === "casing" ? 2 : 0) : Math.min(weight, 1),
          opacity: 1,
          lineCap: "round",
          lineJoin: "round",
          fill: !line,
          fillColor: this.own(own.fill, kinds.fill),
          fillOpacity: kinds.fillOpacity || 1,
          dashArray: line ? null : kinds.dash || null,
        };
      });
    }
    for (const map of this.app.maps()) map.getContainer().style.background = look.land;
  }
}
