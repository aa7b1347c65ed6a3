// The page that looks inside a network: maps of gates and states, the belt, and where gradients go.
// The data are numbers of two bytes each, see inside_data.py.
"use strict";

const data = JSON.parse(document.getElementById("inside").textContent);
const root = document.documentElement;
const dark = matchMedia("screen and (prefers-color-scheme: dark)");

// What is looked at: a layer, a step (by its place among those that are shown), a unit (by its row).
const at = { layer: 0, step: data.steps.length - 1, unit: 0 };

const WORDS = {
  step: { en: "step", vi: "bước" },
  unit: { en: "unit", vi: "đơn vị" },
  stepsBack: { en: "steps back", vi: "số bước lùi lại" },
  expects: { en: "expects next", vi: "dự đoán tiếp theo" },
  play: { en: "Play", vi: "Phát" },
  pause: { en: "Pause", vi: "Dừng" },
};

/** Returns words in the language of the page. */
function say(words) {
  return typeof words === "string" ? words : words[root.lang === "vi" ? "vi" : "en"];
}

/** Returns a number as the page's language writes it. */
function written(value, digits = 2) {
  if (Math.abs(value) >= 1e5) return value.toExponential(1);
  return value.toLocaleString(root.lang === "vi" ? "vi" : "en", {
    minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false,
  });
}

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** A table of numbers, [steps, width], each of two bytes between `low` and `high`. */
class Table {
  constructor({ low, high, width, numbers }) {
    Object.assign(this, { low, high, width, bytes: new DataView(bytesOf(numbers).buffer) });
  }
  /** The number as a share of the way from `low` to `high`. */
  share(step, unit) {
    return this.bytes.getUint16(2 * (step * this.width + unit), true) / 65535;
  }
  at(step, unit) {
    return this.low + (this.high - this.low) * this.share(step, unit);
  }
}

for (const layer of data.layers) {
  for (const map of layer.maps) map.table = new Table(map);
  for (const name of ["putOn", "takenOff"]) layer[name] = new Table(layer[name]);
}
if (data.inputs) data.inputs.table = new Table(data.inputs);
// A byte of a gradient is its decimal logarithm; 0 is none, and 255 says that it was not worked out.
const FLOOR = data.gradients?.floor, DECADES = data.gradients?.decades;
for (const network of data.gradients?.networks ?? []) network.bytes = bytesOf(network.bytes);

/** Returns the share of a gradient that is left at a step; null where it was not worked out. */
function shareLeft(network, output, step) {
  const byte = network.bytes[output * data.steps.length + step];
  if (byte === 255) return null;
  return byte === 0 ? 0 : 10 ** (FLOOR + (DECADES * byte) / 254);
}

/** Returns the place of the output step whose gradients are shown: the last one up to the step. */
function outputAt(step) {
  const { outputs } = data.gradients;
  let place = 0;
  while (place + 1 < outputs.length && outputs[place + 1] <= step) place++;
  return place;
}

const layerNow = () => data.layers[at.layer];
const memoryOf = (layer) => layer.maps.find((map) => map.name === layer.memory);
const labelOf = (step) => ({ " ": "␣", "\n": "⏎", "\t": "⇥" })[data.labels[step]] ?? data.labels[step];
const stepName = (step) =>
  `${say(WORDS.step)} ${data.steps[step] + 1}${data.named ? ` ${data.symbols ? `‘${labelOf(step)}’` : labelOf(step)}` : ""}`;

// Colours ------------------------------------------------------------------------------------------

let colours = {};
function readColours() {
  const style = getComputedStyle(root);
  const rgb = (name) => {
    const hex = style.getPropertyValue(`--${name}`).trim().slice(1);
    return [0, 2, 4].map((place) => parseInt(hex.slice(place, place + 2), 16));
  };
  colours = Object.fromEntries(
    ["paper", "ours", "baseline", "ink", "line", "quiet", "third"].map((name) => [name, rgb(name)]),
  );
}
const mixed = (from, to, share) => from.map((value, place) => value + (to[place] - value) * share);
const css = (rgb) => `rgb(${rgb.map(Math.round).join(" ")})`;

/** Returns the colour of a share of a scale: from paper to blue, or from orange over paper to blue. */
function colourOf(share, signed) {
  if (!signed) return mixed(colours.paper, colours.ours, share);
  const value = 2 * share - 1;
  return mixed(colours.paper, value < 0 ? colours.baseline : colours.ours, Math.abs(value));
}

// Maps ---------------------------------------------------------------------------------------------

const STRIPS = document.getElementById("strips");
const pointer = document.querySelector(".pointer");

/** Returns the width of a strip in pixels, and of one step. */
function sizes(strip) {
  const width = strip.clientWidth || 300;
  return { width, column: width / data.steps.length };
}

function drawMap(canvas, map) {
  const { table, signed } = map, steps = data.steps.length, rows = table.width;
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth;
  const height = Math.max(40, Math.min(170, rows * 7));
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  const small = document.createElement("canvas");
  small.width = steps;
  small.height = rows;
  const image = new ImageData(steps, rows);
  const palette = Array.from({ length: 256 }, (_, byte) => colourOf(byte / 255, signed));
  for (let step = 0; step < steps; step++) {
    for (let row = 0; row < rows; row++) {
      const place = 4 * (row * steps + step), colour = palette[Math.round(255 * table.share(step, row))];
      [image.data[place], image.data[place + 1], image.data[place + 2]] = colour;
      image.data[place + 3] = 255;
    }
  }
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  // The step and the unit that are looked at.
  const column = canvas.width / steps, row = canvas.height / rows;
  context.strokeStyle = css(colours.ink);
  context.lineWidth = ratio;
  context.strokeRect(at.step * column, 0, Math.max(column, 2), canvas.height);
  if (map.ordered) context.strokeRect(0, at.unit * row, canvas.width, Math.max(row, 2));
}

/** Returns the step and the row under a pointer. */
function under(event, canvas, rows) {
  const box = canvas.getBoundingClientRect();
  const place = (value, size, count) => Math.max(0, Math.min(count - 1, Math.floor((value / size) * count)));
  return {
    step: place(event.clientX - box.left, box.width, data.steps.length),
    row: place(event.clientY - box.top, box.height, rows),
  };
}

function tell(event, text) {
  pointer.textContent = text;
  pointer.hidden = false;
  const { width, height } = pointer.getBoundingClientRect();
  pointer.style.left = `${Math.max(8, Math.min(event.clientX + 14, root.clientWidth - width - 8))}px`;
  pointer.style.top = `${Math.max(8, event.clientY - height - 12)}px`;
}

/** Makes a strip of the page: a heading, a line about it, and what is drawn. */
function strip(id, words, about, what) {
  const row = document.createElement("section");
  row.className = "row";
  row.id = id;
  const head = document.createElement("header");
  const heading = document.createElement("h3");
  heading.innerHTML = both(words);
  const line = document.createElement("p");
  line.innerHTML = about;
  const save = document.createElement("button");
  save.type = "button";
  save.className = "save";
  save.textContent = what === "canvas" ? "PNG" : "SVG";
  head.append(heading, line, save);
  const drawing =
    what === "canvas"
      ? document.createElement("canvas")
      : document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawing.setAttribute("role", "img");
  label(drawing, words, "");
  row.append(head, drawing);
  label(save, words, `${save.textContent}: `);
  save.addEventListener("click", () => download(id, drawing));
  return { row, drawing, line, heading };
}

/** Gives an element a label in both languages, for who hears the page; languages.js sets it. */
function label(element, words, before) {
  const text = document.createElement("i");
  for (const [key, language] of [["labelEn", "en"], ["labelVi", "vi"]]) {
    text.innerHTML = typeof words === "string" ? words : words[language];
    element.dataset[key] = before + text.textContent;
  }
  element.setAttribute("aria-label", element.dataset[root.lang === "vi" ? "labelVi" : "labelEn"]);
}

/** Returns words of both languages as elements of which the page shows one. */
function both(words) {
  if (typeof words === "string") return words;
  if (words.en === words.vi) return words.en;
  return `<span lang="en">${words.en}</span><span lang="vi">${words.vi}</span>`;
}

function download(name, drawing) {
  const link = document.createElement("a");
  const give = (blob, ending) => {
    link.href = URL.createObjectURL(blob);
    link.download = `${name}.${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  if (drawing instanceof HTMLCanvasElement) {
    drawing.toBlob((blob) => give(blob, "png"));
    return;
  }
  const copy = drawing.cloneNode(true);
  // Outside of the page there is no style sheet.
  const from = drawing.querySelectorAll("*"), to = copy.querySelectorAll("*");
  from.forEach((element, place) => {
    const style = getComputedStyle(element);
    for (const name of ["fill", "stroke", "stroke-width", "opacity", "font-size", "font-family"]) {
      to[place].setAttribute(name, style.getPropertyValue(name));
    }
  });
  const { width, height } = drawing.getBoundingClientRect();
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  give(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }), "svg");
}

// Drawings in SVG ------------------------------------------------------------------------------------

const clean = (text) => String(text).replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);

function setDrawing(svg, width, height, body) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.style.height = `${height}px`;
  svg.innerHTML = body;
}

const fixed = (value) => value.toFixed(1);

/** Bars of a table's unit over the steps, from a middle line, both ways. */
function bars(table, unit, { top, height, column, most, name }) {
  const middle = top + height / 2;
  let body = "";
  for (let step = 0; step < data.steps.length; step++) {
    const value = table.at(step, unit), size = (Math.abs(value) / most) * (height / 2);
    if (size < 0.2) continue;
    const y = value > 0 ? middle - size : middle;
    body += `<rect class="${name}" x="${fixed(step * column)}" y="${fixed(y)}" width="${fixed(
      Math.max(column * 0.86, 0.7))}" height="${fixed(size)}"/>`;
  }
  return body + `<path d="M0 ${middle}H${fixed(column * data.steps.length)}" stroke="${css(
    colours.line)}" fill="none"/>`;
}

/** Returns an axis of steps below a strip, which is `top` high. */
function axisOf(width, top, column) {
  // A label takes 70 pixels at most, or as many as its letters.
  const longest = Math.max(...data.labels.map((text) => text.length));
  const count = Math.max(2, Math.floor(width / (data.named && !data.symbols ? 9 * longest + 16 : 70)));
  const every = round(data.steps.length / count);
  let body = "";
  for (let step = every - 1; step < data.steps.length; step += every) {
    const text = data.named && !data.symbols ? data.labels[step] : data.steps[step] + 1;
    const x = Math.max(12, Math.min(width - 12, (step + 0.5) * column));
    body += `<text x="${fixed(x)}" y="${top + 13}" text-anchor="middle">${clean(text)}</text>`;
  }
  return body;
}

function drawBelt(svg) {
  const layer = layerNow(), { width, column } = sizes(svg), unit = at.unit;
  const largest = (...tables) => {
    let most = 1e-9;
    for (const table of tables) {
      for (let step = 0; step < data.steps.length; step++) most = Math.max(most, Math.abs(table.at(step, unit)));
    }
    return most;
  };
  // What is put on and taken off has one scale, and what is held another: it is a sum of many.
  const { table: held } = memoryOf(layer);
  const most = largest(held), moved = largest(layer.putOn, layer.takenOff);
  const beltTop = 62, beltHeight = 90, low = beltTop + beltHeight;
  let body = "";
  const place = at.step * column;
  body += `<rect x="${fixed(place)}" y="0" width="${fixed(Math.max(column, 2))}" height="226" fill="${css(
    colours.ink)}" opacity=".12"/>`;
  body += bars(layer.putOn, unit, { top: 4, height: 50, column, most: moved, name: "ours" });
  body += bars(held, unit, { top: beltTop, height: beltHeight, column, most, name: "belt" });
  // The belt itself: its rollers, over which it runs from left to right.
  body += `<rect x="1" y="${low}" width="${width - 2}" height="13" rx="6.5" fill="none" stroke="${css(
    colours.quiet)}" stroke-width="2"/>`;
  for (let x = 8; x < width - 4; x += 26) {
    body += `<circle cx="${x}" cy="${low + 6.5}" r="3.6" fill="${css(colours.quiet)}" opacity=".55"/>`;
  }
  body += bars(layer.takenOff, unit, { top: low + 20, height: 50, column, most: moved, name: "lost" });
  setDrawing(svg, width, 244, body + axisOf(width, 226, column));
}

/** Arcs from an output step to the steps that its gradient reaches. */
function drawArcs(svg, network) {
  const { width, column } = sizes(svg), output = outputAt(at.step);
  const from = data.gradients.outputs[output], height = 78;
  const x = (step) => (step + 0.5) * column;
  let body = "";
  for (let step = 0; step < from; step++) {
    const share = shareLeft(network, output, step);
    if (share === null || share < 0.01) continue;
    const radius = (x(from) - x(step)) / 2, rise = Math.min(radius, height - 8);
    const thick = Math.max(0.4, 2.6 * Math.sqrt(Math.min(share, 1)));
    body += `<path d="M${fixed(x(step))} ${height - 3}A${fixed(radius)} ${fixed(rise)} 0 0 1 ${fixed(
      x(from))} ${height - 3}" fill="none" stroke="${network.colour()}" stroke-width="${thick.toFixed(
      2)}" opacity="${Math.min(0.9, 0.2 + 0.7 * share).toFixed(2)}"/>`;
  }
  body += `<path d="M0 ${height - 2.5}H${width}" stroke="${css(colours.line)}"/>`;
  body += `<path d="M${fixed(x(from) - 5)} ${height}l5 -8l5 8z" fill="${css(colours.ink)}"/>`;
  setDrawing(svg, width, height, body);
}

/** Returns the nearest round number from 1 on: 1, 2 or 5 times a power of ten. */
function round(number) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, number)));
  return [1, 2, 5, 10].find((digit) => digit * power >= number) * power;
}

/** The share of the gradient that is left, by how many steps back, of all networks. */
function drawDistances(svg) {
  const width = svg.clientWidth || 300, height = 300;
  const left = 74, right = 12, top = 10, bottom = 44;
  const output = outputAt(at.step), from = data.gradients.outputs[output];
  const farthest = Math.max(1, data.steps[from] - data.steps[0]);
  const lowest = -6, highest = 1;
  const x = (distance) => left + (distance / farthest) * (width - left - right);
  const y = (share) =>
    top + ((highest - Math.max(lowest, Math.min(highest, Math.log10(share)))) / (highest - lowest)) *
      (height - top - bottom);
  let body = "";
  for (let decade = highest; decade >= lowest; decade--) {
    const tick = `${written(100 * 10 ** decade, Math.max(0, -2 - decade))} %`;
    body += `<path d="M${left} ${fixed(y(10 ** decade))}H${width - right}" stroke="${css(colours.line)}"/>`;
    body += `<text x="${left - 8}" y="${fixed(y(10 ** decade) + 4)}" text-anchor="end">${tick}</text>`;
  }
  for (let distance = 0; distance <= farthest; distance += round(farthest / 6)) {
    body += `<text x="${fixed(x(distance))}" y="${height - bottom + 18}" text-anchor="middle">${distance}</text>`;
  }
  body += `<text x="${(left + width - right) / 2}" y="${height - 6}" text-anchor="middle">${say(
    WORDS.stepsBack)}</text>`;
  for (const network of data.gradients.networks) {
    const points = [];
    for (let step = from; step >= 0; step--) {
      const share = shareLeft(network, output, step);
      if (share === null || share < 10 ** lowest) break; // it has left the chart
      points.push(`${fixed(x(data.steps[from] - data.steps[step]))} ${fixed(y(share))}`);
    }
    if (points.length) body += `<path d="M${points.join("L")}" fill="none" stroke="${network.colour()}" stroke-width="2.2"${
      network.dashed ? ' stroke-dasharray="6 5"' : ""}/>`;
  }
  setDrawing(svg, width, height, body);
}

function drawHorizons(body) {
  const output = outputAt(at.step);
  body.innerHTML = data.gradients.networks
    .map((network) => {
      const cells = network.reach[output].map(
        ({ steps, farther }) => `<td>${farther ? "≥ " : ""}${steps}</td>`,
      );
      return `<tr${network.main ? ' class="ours"' : ""}><th scope="row">${both(network.name)}</th>${cells.join("")}</tr>`;
    })
    .join("");
}

// The input ------------------------------------------------------------------------------------------

function drawFeatures(svg) {
  const { width, column } = sizes(svg), height = 96;
  const shades = [css(colours.ours), css(colours.baseline), css(colours.third), css(colours.quiet)];
  let body = `<rect x="${fixed(at.step * column)}" y="0" width="${fixed(Math.max(column, 2))}" height="${height}" fill="${css(
    colours.ink)}" opacity=".12"/>`;
  data.features.forEach((values, number) => {
    const low = Math.min(...values), high = Math.max(...values);
    const y = (value) => 8 + (1 - (high > low ? (value - low) / (high - low) : 0.5)) * (height - 16);
    const points = values.map((value, step) => `${fixed((step + 0.5) * column)} ${fixed(y(value))}`);
    body += `<path d="M${points.join("L")}" fill="none" stroke="${shades[number % 4]}" stroke-width="1.6"/>`;
  });
  setDrawing(svg, width, height + 18, body + axisOf(width, height, column));
}

function drawContributions(svg) {
  const { width, column } = sizes(svg), values = data.contributions, height = 56;
  const most = Math.max(1e-12, ...values.map(Math.abs));
  let body = "";
  values.forEach((value, step) => {
    const size = (Math.abs(value) / most) * (height / 2 - 2);
    body += `<rect class="${value < 0 ? "lost" : "ours"}" x="${fixed(step * column)}" y="${fixed(
      value < 0 ? height / 2 : height / 2 - size)}" width="${fixed(Math.max(column * 0.86, 0.7))}" height="${fixed(size)}"/>`;
  });
  body += `<path d="M0 ${height / 2}H${width}" stroke="${css(colours.line)}"/>`;
  setDrawing(svg, width, height + 18, body + axisOf(width, height, column));
}

const text = document.querySelector(".read");
const colouring = document.getElementById("colouring");

/** Returns by what the letters are coloured: a number from -1 to 1 for each. */
function shades() {
  if (colouring.value === "unit") {
    const { table } = memoryOf(layerNow());
    const most = Math.max(Math.abs(table.low), Math.abs(table.high));
    return data.labels.map((_, step) => table.at(step, at.unit) / most);
  }
  if (colouring.value === "contribution" && data.contributions) {
    const most = Math.max(1e-12, ...data.contributions.map(Math.abs));
    return data.contributions.map((value) => value / most);
  }
  if (!data.gradients) return data.labels.map(() => 0);
  const output = outputAt(at.step), network = data.gradients.networks[0];
  return data.labels.map((_, step) =>
    step > data.gradients.outputs[output] ? 0 : Math.min(1, shareLeft(network, output, step) ?? 0),
  );
}

// Of a letter's colour so much at most: text on it can still be read.
const COLOURED = 0.55;

function drawText() {
  const values = shades();
  [...text.children].forEach((letter, step) => {
    const value = values[step];
    const colour = mixed(colours.paper, value < 0 ? colours.baseline : colours.ours, COLOURED * Math.abs(value));
    letter.style.background = css(colour);
    letter.classList.toggle("here", step === at.step);
  });
}

// All together -----------------------------------------------------------------------------------------

const drawings = []; // what is drawn whenever something changes: first what all layers share
let shared = 0; // so many of them

function addSvg(parent, id, title, about, draw) {
  const { row, drawing } = strip(id, title, both(about), "svg");
  parent.append(row);
  drawings.push(() => draw(drawing));
  drawing.addEventListener("pointermove", (event) => {
    const { step } = under(event, drawing, 1);
    tell(event, stepName(step));
  });
  drawing.addEventListener("pointerleave", () => (pointer.hidden = true));
  drawing.addEventListener("click", (event) => choose({ step: under(event, drawing, 1).step }));
  return row;
}

function addMap(parent, map, layer) {
  const { row, drawing, line } = strip(`row-${map.name}`, map.title, both(map.about), "canvas");
  const ends = document.createElement("span");
  line.append(" ", ends);
  parent.append(row);
  drawings.push(() => {
    const shades = [0, 0.5, 1].map((share) => css(colourOf(share, map.signed))).join(",");
    ends.innerHTML = `${written(map.table.low)}<i class="scale" style="background:linear-gradient(to right,${
      shades})"></i>${written(map.table.high)}`;
    drawMap(drawing, map);
  });
  drawing.addEventListener("pointermove", (event) => {
    const { step, row: unit } = under(event, drawing, map.table.width);
    const number = map.ordered ? layer.units[unit] : unit;
    tell(event, `${map.name} ${written(map.table.at(step, unit))} · ${say(WORDS.unit)} ${number} · ${stepName(step)}`);
  });
  drawing.addEventListener("pointerleave", () => (pointer.hidden = true));
  drawing.addEventListener("click", (event) => {
    const { step, row: unit } = under(event, drawing, map.table.width);
    choose(map.ordered ? { step, unit } : { step });
  });
}

const slider = document.getElementById("step"), unitSlider = document.getElementById("unit");
const readout = document.querySelector(".readout");

function tellValues() {
  const layer = layerNow();
  const values = layer.maps
    .filter((map) => map.ordered)
    .map((map) => `<span class="value">${map.name} ${written(map.table.at(at.step, at.unit))}</span>`);
  const answer = data.answers?.length ? `; ${say(WORDS.expects)} ${clean(data.answers[at.step])}` : "";
  readout.innerHTML = `<b>${clean(stepName(at.step))}</b>${answer}<br>${say(WORDS.unit)} <b>${
    layer.units[at.unit]}</b>: ${values.join(" ")}`;
  slider.setAttribute("aria-valuetext", stepName(at.step));
  unitSlider.setAttribute("aria-valuetext", `${say(WORDS.unit)} ${layer.units[at.unit]}`);
}

let waiting = 0;
function draw() {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => {
    tellValues();
    for (const drawing of drawings) drawing();
    if (text) drawText();
    document.body.dataset.drawn = `${at.layer} ${at.step} ${at.unit}`;
  });
}

function choose(changes) {
  Object.assign(at, changes);
  slider.value = at.step;
  unitSlider.value = at.unit;
  draw();
}

/** Shows the rows of a layer. */
function showLayer(number) {
  at.layer = number;
  const layer = layerNow(), parent = document.getElementById("layer-rows");
  parent.replaceChildren();
  drawings.splice(shared);
  unitSlider.max = layer.units.length - 1;
  at.unit = layer.first;
  addSvg(parent, "row-belt", layer.belt.title, layer.belt.about, drawBelt);
  for (const map of layer.maps) addMap(parent, map, layer);
  for (const table of document.querySelectorAll(".units")) table.hidden = Number(table.dataset.layer) !== number;
  choose({});
}

const playButton = document.getElementById("play");
let playing = 0;
function play() {
  if (playing) {
    clearInterval(playing);
    playing = 0;
  } else {
    if (at.step === data.steps.length - 1) choose({ step: 0 });
    playing = setInterval(() => {
      if (at.step >= data.steps.length - 1) play();
      else choose({ step: at.step + 1 });
    }, 120);
  }
  playButton.textContent = say(playing ? WORDS.pause : WORDS.play);
}

function start() {
  readColours();
  const network = (place) => data.gradients.networks[place];
  const shadesOf = ["ours", "ours", "third", "baseline", "quiet"];
  data.gradients?.networks.forEach((_, place) => {
    network(place).colour = () => css(colours[network(place).shade ?? shadesOf[place]]);
  });
  if (!data.symbols && data.features.length) {
    addSvg(STRIPS, "row-input", data.inputTitle, data.inputAbout, drawFeatures);
  }
  if (data.inputs) addMap(STRIPS, data.inputs, null);
  if (data.contributions) {
    addSvg(STRIPS, "row-contributions", data.contributionsTitle, data.asked, drawContributions);
  }
  const arcs = document.getElementById("arcs");
  data.gradients?.networks.forEach((one, place) => {
    addSvg(arcs, `row-gradient-${place}`, one.name, one.about, (svg) => drawArcs(svg, one));
  });
  if (data.gradients) {
    const chart = document.getElementById("distances");
    drawings.push(() => drawDistances(chart));
    const table = document.querySelector("#horizons tbody");
    drawings.push(() => drawHorizons(table));
    const key = document.querySelector(".networks");
    drawings.push(() => {
      key.innerHTML = data.gradients.networks
        .map((one) => `<li><i style="border-color:${one.colour()};border-style:${one.dashed ? "dashed" : "solid"} none none"></i>${both(one.name)}</li>`)
        .join("");
    });
  }
  shared = drawings.length;
  slider.max = data.steps.length - 1;
  slider.addEventListener("input", () => choose({ step: Number(slider.value) }));
  unitSlider.addEventListener("input", () => choose({ unit: Number(unitSlider.value) }));
  playButton.addEventListener("click", play);
  document.getElementById("layer")?.addEventListener("change", (event) => showLayer(Number(event.target.value)));
  colouring?.addEventListener("change", draw);
  text?.addEventListener("click", (event) => {
    const step = [...text.children].indexOf(event.target);
    if (step >= 0) choose({ step });
  });
  addEventListener("language", () => {
    playButton.textContent = say(playing ? WORDS.pause : WORDS.play);
    draw();
  });
  document.addEventListener("click", (event) => {
    const unit = event.target.closest?.("[data-unit]");
    if (unit) choose({ unit: Number(unit.dataset.unit) });
    const letter = event.target.closest?.("[data-row]");
    if (letter) point(letter.dataset.row);
  });
  dark.addEventListener("change", () => {
    readColours();
    draw();
  });
  addEventListener("resize", draw);
  addEventListener("scroll", () => (pointer.hidden = true), { passive: true });
  showLayer(0);
}

/** Marks the row that a letter of the equations leads to. */
function point(id) {
  for (const row of document.querySelectorAll(".row.pointed")) row.classList.remove("pointed");
  const row = document.getElementById(id);
  row?.classList.add("pointed");
}

start();
