// Colours and scales. Between two stops colours mix linearly in sRGB.

// Values: after viridis; lightness rises evenly, readable without colour vision.
const SEQUENTIAL = [
  "#440154",
  "#482475",
  "#414487",
  "#355f8d",
  "#2a788e",
  "#21918c",
  "#22a884",
  "#44bf70",
  "#7ad151",
  "#bddf26",
  "#fde725",
];
// Standard errors: after cividis, so that they are not taken for values.
const UNCERTAIN = [
  "#00224e",
  "#123570",
  "#3b496c",
  "#575d6d",
  "#707173",
  "#8a8678",
  "#a59c74",
  "#c3b369",
  "#e1cc55",
  "#fee838",
];
// Differences: orange to blue over near-white, safe for all common kinds of colour blindness.
const DIVERGING = ["#8c3a00", "#c4620c", "#e7964a", "#f6c998", "#f4f1ea", "#b4cbe6", "#6f9ed2", "#3a6db4", "#1c3f84"];
// Classes: after Tol's "muted", the commonest class first; all further classes share the last.
const CLASSES = ["#332288", "#cc6677", "#ddcc77", "#117733", "#88ccee", "#882255", "#44aa99", "#aa4499", "#999933"];
const OTHERS = "#9aa0a6";

const LOOKS = {
  light: {
    land: "#f5f2ea",
    ring: "#ffffff",
    rim: "rgba(20,26,32,.55)",
    hollow: "#fffdf8",
    quiet: "#7b828a",
    alarm: "#b3261e",
    ink: "#15202b",
    faint: "rgba(60,66,72,.34)",
    paper: "#fffdf9",
    soft: "#5c6670",
    sea: { fill: "#c8dde6", stroke: "#a9c7d3", weight: 1 },
    landmass: { fill: "#f5f2ea", stroke: "#d8d0c0", weight: 1 },
    district: { fill: "#efe9dc", fillOpacity: 0.55, stroke: "#cfc5b2", weight: 1, dash: "4 4" },
    river: { fill: "#c8dde6", stroke: "#b5d1dd", weight: 5 },
    park: { fill: "#d3e4c4", stroke: "#c0d6ae", weight: 1 },
    building: { fill: "#e4dccd", stroke: "#d6ccba", weight: 0.5 },
    road: { fill: "#ffffff", stroke: "#ffffff", weight: 3, casing: "#ddd4c3" },
    other: { fill: "#e8e2d4", stroke: "#c9bfad", weight: 1 },
  },
  dark: {
    land: "#1b1f23",
    ring: "#0c0f12",
    rim: "rgba(235,240,245,.6)",
    hollow: "#1b1f23",
    quiet: "#8b949d",
    alarm: "#ff8a80",
    ink: "#ffffff",
    faint: "rgba(190,198,206,.34)",
    paper: "#23282d",
    soft: "#a9b2bb",
    sea: { fill: "#10222e", stroke: "#1d3645", weight: 1 },
    landmass: { fill: "#1b1f23", stroke: "#30373d", weight: 1 },
    district: { fill: "#22272c", fillOpacity: 0.6, stroke: "#3b434b", weight: 1, dash: "4 4" },
    river: { fill: "#10222e", stroke: "#15303f", weight: 5 },
    park: { fill: "#1d3127", stroke: "#284435", weight: 1 },
    building: { fill: "#282e34", stroke: "#333a41", weight: 0.5 },
    road: { fill: "#3a4249", stroke: "#3a4249", weight: 2.5, casing: "#14171a" },
    other: { fill: "#262b30", stroke: "#3a4149", weight: 1 },
  },
};

const channels = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
const css = (rgb) => `rgb(${rgb.join(",")})`;

function mix(table, t) {
  const place = Math.min(Math.max(t, 0), 1) * (table.length - 1),
    k = Math.min(Math.floor(place), table.length - 2);
  const low = channels(table[k]),
    high = channels(table[k + 1]),
    share = place - k;
  return low.map((value, i) => Math.round(value + (high[i] - value) * share));
}

const LEVELS = 256;
const ramps = new Map();
function ramp(table) {
  // the table as 256 colours
  if (!ramps.has(table))
    ramps.set(
      table,
      Array.from({ length: LEVELS }, (_, k) => mix(table, k / (LEVELS - 1))),
    );
  return ramps.get(table);
}

function niceStep(span, parts) {
  const rough = span / parts,
    power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].find((m) => m * power >= rough * 0.999) * power;
}

// A scale runs from low to high with ticks at round numbers; one of differences is centred on 0.
function makeScale(low, high, table, centred) {
  if (!(low <= high)) return { low: 0, high: 1, ticks: [], table, step: 0, empty: true };
  if (centred) {
    const reach = Math.max(Math.abs(low), Math.abs(high)) || 1e-6,
      step = niceStep(reach, 2),
      end = Math.ceil(reach / step - 1e-9) * step;
    return { low: -end, high: end, ticks: [-end, -end / 2, 0, end / 2, end], table, step: end / 2 };
  }
  if (high - low < 1e-9) {
    const pad = Math.max(Math.abs(low) * 0.1, 1e-3);
    low -= pad;
    high += pad;
  }
  const step = niceStep(high - low, 4),
    first = Math.floor(low / step + 1e-9) * step,
    last = Math.ceil(high / step - 1e-9) * step,
    ticks = [];
  for (let k = 0; first + k * step <= last + step * 1e-6; k++) ticks.push(first + k * step);
  return { low: first, high: last, ticks, table, step };
}
const levelOf = (scale, value) =>
  Math.min(LEVELS - 1, Math.max(0, Math.round(((value - scale.low) / (scale.high - scale.low)) * (LEVELS - 1))));
const colourOf = (scale, value) => ramp(scale.table)[levelOf(scale, value)];
