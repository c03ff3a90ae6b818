// Small tools. Everything that a user named is set through textContent or an attribute, never as HTML.

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes))
    if (name === "text") node.textContent = value;
    else node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const ICONS = {
  share:
    "M8 12 16 7M8 12l8 5M18 9a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z" +
    "M6 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM18 21a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z",
  save: "M12 3v12m0 0-5-5m5 5 5-5M4 20h16",
  theme: "M12 3a9 9 0 1 0 0 18V3Zm0 0a9 9 0 0 1 0 18",
  menu: "M4 7h16M4 12h16M4 17h16",
  home: "M4 11 12 4l8 7M6 9.5V20h12V9.5",
  swap: "M8 4v16m0 0-4-4m4 4 4-4M16 20V4m0 0-4 4m4-4 4 4",
  before: "m14 6-6 6 6 6",
  after: "m10 6 6 6-6 6",
  close: "M6 6l12 12M18 6 6 18",
};
const icon = (name) =>
  svg("svg", { viewBox: "0 0 24 24", class: "soundit-icon", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));

function iconButton(name, label, act, more) {
  return el(
    "button",
    { type: "button", class: "soundit-tool", "aria-label": label, title: label, onclick: act, ...more },
    icon(name),
  );
}

// A row of radio buttons that looks like one control; options are [value, text, spoken name].
function segments(name, label, options, act) {
  const inputs = new Map(),
    row = el("div", { class: "soundit-segments", role: "radiogroup", "aria-label": label });
  for (const [value, text, spoken] of options) {
    const input = el("input", { type: "radio", name, value, "aria-label": spoken || text, onchange: () => act(value) });
    inputs.set(value, input);
    row.append(el("label", { title: spoken || null }, input, el("span", { text })));
  }
  return {
    row,
    inputs,
    set: (value) => {
      if (inputs.has(value)) inputs.get(value).checked = true;
    },
  };
}

const badge = (letter) => el("span", { class: "soundit-badge soundit-" + letter.toLowerCase(), text: letter });

function unpack(text, type) {
  if (Uint8Array.fromBase64) return new type(Uint8Array.fromBase64(text).buffer);
  const raw = atob(text),
    bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new type(bytes.buffer);
}

// Digits after the point by which steps of this size can be told apart.
function digitsFor(step) {
  if (!(step > 0)) return 1;
  const power = Math.floor(Math.log10(step * 1.0001)),
    lead = step / 10 ** power;
  return Math.min(6, Math.max(0, -power + (Math.abs(lead - Math.round(lead)) > 0.01 ? 1 : 0)));
}

function format(value, variable, digits, signed) {
  if (!(value === value)) return "–";
  const text = Math.abs(variable.percent ? value * 100 : value).toFixed(digits);
  const sign = Number(text) === 0 ? "" : value < 0 ? "−" : signed ? "+" : "";
  return sign + text + (variable.percent ? (signed ? " pp" : " %") : "");
}

const known = (value) => value === value;
const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
