// Markers, shapes, tiles and images that others put on the first map, on the second, too.

class Mirror {
  constructor(from, to) {
    this.from = from;
    this.to = to;
    this.twins = new Map();
    from.eachLayer((layer) => this.add(layer));
    // A layer is dressed (icon, popup) after it is added: wait until the page's script is through.
    from.on("layeradd", ({ layer }) => queueMicrotask(() => from.hasLayer(layer) && this.add(layer)));
    from.on("layerremove", ({ layer }) => this.remove(layer));
  }
  add(layer) {
    if (this.twins.has(layer) || /^soundit-/.test(layer.options && layer.options.pane)) return;
    const twin = twinOf(layer);
    if (!twin) return;
    this.pane(layer.options.pane);
    this.bind(layer, twin);
    this.twins.set(layer, twin.addTo(this.to));
    layer.on("move", this.follow, this);
  }
  remove(layer) {
    if (!this.twins.has(layer)) return;
    layer.off("move", this.follow, this);
    this.twins.get(layer).remove();
    this.twins.delete(layer);
  }
  follow({ target }) {
    this.twins.get(target).setLatLng(target.getLatLng());
  }
  pane(name) {
    const from = this.from.getPane(name);
    if (!from || this.to.getPane(name)) return;
    const { zIndex, pointerEvents } = from.style;
    Object.assign(this.to.createPane(name).style, { zIndex, pointerEvents });
  }
  // The words of a layer, or of a group that it is in; an element can be in one place only and is copied.
  bind(layer, twin) {
    const owners = [layer, ...Object.values(layer._eventParents || {})];
    for (const [get, bind] of [
      ["getPopup", "bindPopup"],
      ["getTooltip", "bindTooltip"],
    ]) {
      const found = owners.map((owner) => owner[get] && owner[get]()).find(Boolean);
      if (!found) continue;
      const words = () => {
        const content = found.getContent(),
          said = typeof content === "function" ? content(layer) : content;
        return said instanceof Node ? said.cloneNode(true) : said || "";
      };
      twin[bind](words, { ...found.options });
    }
  }
}

// A layer of Leaflet's own kinds once more; null for what is none, such as a plugin's canvas.
function twinOf(layer) {
  const options = { ...layer.options, renderer: undefined };
  if (layer instanceof L.TileLayer.WMS) return L.tileLayer.wms(layer._url, options);
  if (layer instanceof L.TileLayer) return L.tileLayer(layer._url, options);
  if (layer instanceof L.ImageOverlay && typeof layer._url === "string" && !(layer instanceof L.VideoOverlay))
    return L.imageOverlay(layer._url, layer.getBounds(), options);
  if (layer instanceof L.Marker) return L.marker(layer.getLatLng(), { ...options, draggable: false });
  if (layer instanceof L.Circle) return L.circle(layer.getLatLng(), { ...options, radius: layer.getRadius() });
  if (layer instanceof L.CircleMarker)
    return L.circleMarker(layer.getLatLng(), { ...options, radius: layer.getRadius() });
  if (layer instanceof L.Polygon) return L.polygon(layer.getLatLngs(), options);
  if (layer instanceof L.Polyline) return L.polyline(layer.getLatLngs(), options);
  return null;
}
