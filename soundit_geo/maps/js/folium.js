// What folium's own layers expect of a page beside Leaflet: so that markers and popups need nothing from the network.

// folium makes a popup's content by jQuery: markup in, a list of nodes out; and asks when the document is ready.
window.$ =
  window.$ ||
  ((what) => {
    if (typeof what === "string") return [...document.createRange().createContextualFragment(what.trim()).childNodes];
    const ready = (act) =>
      document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", act) : act();
    return { ready };
  });

// The pins of folium.Icon, by the names of their colours in Leaflet.awesome-markers.
const PINS = {
  red: "#d63e2a",
  orange: "#f69730",
  green: "#72b026",
  blue: "#38aadd",
  purple: "#d252b9",
  darkred: "#a23336",
  darkblue: "#0067a3",
  darkgreen: "#728224",
  darkpurple: "#5b396b",
  cadetblue: "#436978",
  lightred: "#ff8e7f",
  beige: "#ffcb92",
  lightgreen: "#bbf970",
  lightblue: "#8adaff",
  pink: "#ff91ea",
  white: "#fbfbfb",
  lightgray: "#a3a3a3",
  gray: "#575757",
  black: "#303030",
};

const Pin = L.Icon.extend({
  options: {
    className: "soundit-pin",
    iconSize: [30, 42],
    iconAnchor: [15, 41],
    popupAnchor: [0, -36],
    tooltipAnchor: [13, -26],
    markerColor: "blue",
    iconColor: "white",
    icon: "info-sign",
    prefix: "glyphicon",
    extraClasses: "",
  },
  createIcon: function () {
    const { markerColor, iconColor, icon, prefix, extraClasses } = this.options,
      fill = PINS[markerColor] || PINS.blue;
    const shape = `<svg xmlns="http://www.w3.org/2000/svg" width="60" height="84" viewBox="0 0 30 42">
      <path fill="${fill}" stroke="#fff" stroke-width="1.5"
        d="M15 40.5C12 31 2 25 2 14.5a13 13 0 0 1 26 0C28 25 18 31 15 40.5Z"/></svg>`;
    const plain = prefix === "glyphicon" && icon === "info-sign";
    const sign = plain ? el("b", { text: "i" }) : el("i", { class: `${prefix} ${prefix}-${icon} ${extraClasses}` });
    sign.style.color = iconColor;
    const pin = el("div", {}, el("img", { src: "data:image/svg+xml," + encodeURIComponent(shape), alt: "" }), sign);
    this._setIconStyles(pin, "icon");
    return pin;
  },
  createShadow: () => null,
});

L.AwesomeMarkers = L.AwesomeMarkers || { Icon: Pin, icon: (options) => new Pin(options) };
