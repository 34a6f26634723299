// The page of scores: by lead and threshold, every method on the same pixels, and reliability.

import { fetchJson } from "./api.js";

const MEANINGS = {
  csi: "Critical success index: hits among all that was forecast or seen. 1 is perfect.",
  fss: "Fractions skill score: right rain in the right neighbourhood. 1 is perfect.",
  mae: "Mean absolute error of the rate, mm/h. 0 is perfect.",
  brier: "Brier score of the probability (or of yes and no). 0 is perfect.",
  frequency_bias: "How often rain was forecast for how often it was seen. 1 is perfect.",
};
const DASHES = ["none", "7 4", "2 4", "9 3 2 3", "4 2"];
const NS = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [560, 260, 44, 36, 10, 12];
const id = (name) => document.getElementById(name);
let told = null;

async function start() {
  told = await fetchJson("skill.json");
  id("about").textContent = told.about;
  if (!told.scores.length) return;
  id("choices").hidden = false;
  fill(id("score"), unique(told.scores.map((row) => row.score)), (score) => score.replace("_", " ").toUpperCase());
  id("score").addEventListener("change", chosen);
  id("threshold").addEventListener("change", draw);
  chosen();
}

const unique = (values) => [...new Set(values)];

function fill(select, values, name) {
  const kept = select.value;
  select.replaceChildren(...values.map((value) => new Option(name(value), String(value))));
  if (values.map(String).includes(kept)) select.value = kept;
}

function chosen() {
  const rows = told.scores.filter((row) => row.score === id("score").value);
  const levels = unique(rows.map((row) => `${row.threshold_mm_h}/${row.scale_cells}`));
  fill(id("threshold"), levels, (level) => {
    const [threshold, scale] = level.split("/");
    return threshold === "null" ? "all" : `${threshold} mm/h${scale === "null" ? "" : `, within ${scale} cells`}`;
  });
  draw();
}

function draw() {
  const score = id("score").value;
  const level = id("threshold").value;
  const rows = told.scores.filter((row) => row.score === score && row.value !== null
    && `${row.threshold_mm_h}/${row.scale_cells}` === level);
  id("meaning").textContent = MEANINGS[score] ?? "";
  const lines = unique(rows.map((row) => row.method)).map((method) => ({
    name: method,
    points: rows.filter((row) => row.method === method).map((row) => [row.lead_minutes, row.value]),
  }));
  id("by-lead").replaceChildren(caption(`${score.replace("_", " ").toUpperCase()} by lead, min`), plot(lines), keyOf(lines));
  id("numbers").replaceChildren(tableOf(lines));
  drawReliability(Number(level.split("/")[0]));
}

// What was said with which probability, and how often it happened; on the diagonal they agree.
function drawReliability(threshold) {
  const rows = told.reliability.filter((row) => row.threshold_mm_h === threshold);
  const lines = unique(rows.map((row) => row.method)).map((name) => ({ name, points: pooled(rows.filter((row) => row.method === name)) }));
  const some = lines.filter((line) => line.points.length > 2);
  if (!some.length) {
    id("reliability").replaceChildren();
    return;
  }
  const diagonal = { name: "perfect", points: [[0, 0], [1, 1]] };
  const all = [...some, diagonal];
  id("reliability").replaceChildren(caption(`Reliability at ${threshold} mm/h: said (across) and seen (up)`), plot(all), keyOf(all));
}

function pooled(rows) {
  const bins = new Map();
  for (const { n, mean_probability: said, observed_frequency: seen } of rows) {
    if (said === null || seen === null) continue;
    const bin = Math.min(9, Math.floor(10 * said));
    const [count, sumSaid, sumSeen] = bins.get(bin) ?? [0, 0, 0];
    bins.set(bin, [count + n, sumSaid + n * said, sumSeen + n * seen]);
  }
  return [...bins].sort(([one], [other]) => one - other).map(([, [n, said, seen]]) => [said / n, seen / n]);
}

function plot(lines) {
  const points = lines.flatMap((line) => line.points);
  const [low, high] = [Math.min(...points.map(([x]) => x)), Math.max(...points.map(([x]) => x))];
  const top = Math.max(...points.map(([, y]) => y), 0.01) * 1.05;
  const x = (value) => LEFT + ((WIDTH - LEFT - RIGHT) * (value - low)) / Math.max(high - low, 1e-9);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plot", role: "img", "aria-label": "The table below has the numbers." });
  for (let tick = 0; tick <= 4; tick += 1) {
    const value = (top * tick) / 4;
    svg.append(element("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }));
    svg.append(element("text", { class: "y", x: LEFT - 5, y: y(value) + 3 }, value.toPrecision(2)));
    const across = low + ((high - low) * tick) / 4;
    svg.append(element("text", { class: "x", x: x(across), y: HEIGHT - 14 }, String(Number(across.toPrecision(3)))));
  }
  lines.forEach((line, index) => {
    const d = line.points.map(([a, b], at) => `${at ? "L" : "M"}${x(a)},${y(b)}`).join("");
    svg.append(element("path", { class: `line l${index}`, d, "stroke-dasharray": DASHES[index % DASHES.length] }));
  });
  return svg;
}

function keyOf(lines) {
  const list = document.createElement("ul");
  list.className = "key";
  lines.forEach(({ name }, index) => {
    const item = document.createElement("li");
    const sample = element("svg", { viewBox: "0 0 30 8", class: "sample", "aria-hidden": "true" });
    sample.append(element("path", { class: `line l${index}`, d: "M0,4L30,4", "stroke-dasharray": DASHES[index % DASHES.length] }));
    item.append(sample, name);
    list.append(item);
  });
  return list;
}

function tableOf(lines) {
  const table = document.createElement("table");
  const leads = unique(lines.flatMap((line) => line.points.map(([lead]) => lead)));
  const head = table.insertRow();
  for (const text of ["Method", ...leads.map((lead) => `+${lead} min`)]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = text;
    head.append(cell);
  }
  for (const { name, points } of lines) {
    const row = table.insertRow();
    row.insertCell().textContent = name;
    const values = new Map(points);
    leads.forEach((lead) => { row.insertCell().textContent = values.has(lead) ? values.get(lead).toFixed(3) : "–"; });
  }
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "The scores as numbers");
  scroll.append(table);
  return scroll;
}

function caption(text) {
  const made = document.createElement("figcaption");
  made.textContent = text;
  return made;
}

function element(name, attributes, text) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

start().catch(() => { id("about").textContent = "The scores could not be read: the server does not answer."; });
