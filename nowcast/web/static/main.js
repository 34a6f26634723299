// The page: what is looked at (store.js) on one side, what shows it on the other.

import { fetchJson } from "./api.js";
import { Arrows } from "./arrows.js";
import { Cells } from "./cells.js";
import { listen } from "./keyboard.js";
import { Layerbox } from "./layerbox.js";
import { nearest } from "./gauges.js";
import { createMap, showGeography } from "./map.js";
import { createOverlay, lowerBound } from "./overlay.js";
import { Pictures } from "./pictures.js";
import { Place } from "./place.js";
import { fromAddress, Store, toAddress } from "./store.js";
import { current as currentTheme, toggle as toggleTheme } from "./theme.js";
import { describe, Timebar } from "./timebar.js";
import { lead, toDate, clocks, utcDay } from "./times.js";
import { Trust } from "./trust.js";

const asked = fromAddress(location.hash);
const store = new Store({
  forecast: null, layer: "rate", time: null, view: null, place: null,
  follows: !asked.forecast, atNow: !asked.time, opacity: 0.85, motion: false, cells: false, ...asked,
});
const map = createMap(document.getElementById("map"));
const trust = new Trust();
const layerbox = new Layerbox(store);
const place = new Place(store, map, (at) => readPlace(at));
const arrows = new Arrows(map);
const cells = new Cells(map);
const pictures = new Pictures(() => { draw(); timebar.loaded(); });
const timebar = new Timebar(store, (frame) => {
  const { key } = request(frame);
  return key === null || Boolean(pictures.get(key)) || pictures.failed(key);
});
let facts = null;
let overlay = null;
let geography = null;

// Which picture a frame shows: the layer where it has that time, else the radar's.
function request(frame) {
  const { layer, forecast } = store.state;
  const name = [layer, "radar"].find((id) => facts.layers.find((one) => one.id === id)?.times.includes(frame.time)
    && (id === layer || frame.kind === "radar"));
  return { key: name ? Pictures.key(forecast, name, frame.time) : null, forecast, layer: name, time: frame.time };
}

function draw() {
  const frame = timebar.frames[timebar.index];
  if (!facts || !frame || !overlay) return;
  const { key } = request(frame);
  const picture = key && pictures.get(key);
  // Until it has come the last picture stays, dimmed, and the label says so.
  const waiting = Boolean(key && !picture && !pictures.failed(key));
  overlay.canvas.classList.toggle("waiting", waiting);
  if (!waiting) overlay.draw(picture);
  const said = key === null ? ", not in this layer" : pictures.failed(key) ? ", not available" : waiting ? ", loading" : "";
  showMoment(frame, said);
  trust.setFrame(frame);
  overlay.canvas.dataset.shown = picture ? key : "";
  if (picture) performance.mark("frame-shown");
}

function showMoment(frame, said) {
  const moment = document.getElementById("moment");
  moment.dataset.kind = frame.kind;
  const kind = document.createElement("strong");
  kind.textContent = frame.kind === "radar" ? "Radar" : "Forecast";
  const date = toDate(frame.time);
  moment.replaceChildren(kind, ` ${lead(frame.lead_minutes)}`, document.createElement("br"), `${utcDay(date)}, ${clocks(date)}${said}`);
  moment.title = describe(frame);
}

// From the shown frame on to the end, then from the beginning: as it will be played.
function wantPictures() {
  const { frames, index } = timebar;
  const order = [...frames.slice(index), ...frames.slice(0, index)];
  pictures.want(order.map(request).filter(({ key }) => key !== null));
  timebar.loaded();
}

async function showForecast(id) {
  const coming = fetchJson(`${id}/geography.json`);
  const found = await fetchJson(`${id}/forecast.json`);
  if (store.state.forecast !== id) return;  // another one was chosen meanwhile
  const moved = JSON.stringify(facts?.bounds) !== JSON.stringify(found.bounds);
  facts = found;
  if (moved) layMap(found);
  trust.setForecast(found);
  layerbox.setForecast(found);
  if (!found.layers.some((layer) => layer.id === store.state.layer)) store.set({ layer: "rate" });
  const times = found.frames.map((frame) => frame.time);
  const kept = times.includes(store.state.time) && !(store.state.follows && store.state.atNow);
  const now = found.frames.findLast((frame) => frame.kind === "radar");
  if (!kept) store.set({ time: now.time, atNow: true });
  timebar.setFrames(found.frames);
  wantPictures();
  draw();
  // The first picture is on its way; what follows is drawn around it.
  const land = await coming;
  if (moved) layGeography(land);
  credit(found, land);
  performance.mark("map-usable");
  place.refresh();
  showMotion();
  showCells();
}

// Without a server a place's rain is read off the colours: the lower bound of each class.
async function readPlace(at) {
  const read = (frame, id) => {
    const layer = facts.layers.find((one) => one.id === id);
    const picture = pictures.get(Pictures.key(store.state.forecast, id, frame.time));
    const rate = layer && picture ? lowerBound(picture, facts.bounds, at, layer.legend) : null;
    return { time: toDate(frame.time).toISOString(), rate };
  };
  const rows = (kind, id) => timebar.frames.filter((frame) => frame.kind === kind).map((frame) => read(frame, id));
  const measured = facts.gauges ? await fetchJson(`${facts.id}/gauges.json`).catch(() => null) : null;
  return { radar: rows("radar", "radar"), forecast: rows("forecast", "rate"), ...(measured && nearest(measured, at)),
    words: "Read off the colours of the map: each value is the least that its colour stands for." };
}

function layMap(found) {
  overlay?.remove();
  const [west, south, east, north] = found.focus;
  const { view } = store.state;
  if (view) map.setView([view.lat, view.lon], view.zoom);
  else map.fitBounds([[south, west], [north, east]]);
  overlay = createOverlay(map, found.bounds, found.size);
  overlay.setOpacity(store.state.opacity);
}

function layGeography(land) {
  geography?.remove();
  geography = showGeography(map, land);
  place.setTowns(land.places);
}

function showMotion() {
  const { forecast, motion } = store.state;
  arrows.show(forecast, motion && facts.motion).catch(() => trust.serverLost());
}

function showCells() {
  if (!facts) return;
  const frame = timebar.frames[timebar.index];
  const ahead = timebar.index - timebar.nowIndex - 1;
  cells.show(store.state.forecast, store.state.cells && facts.cells, frame && ahead >= -1 ? ahead : null)
    .catch(() => trust.serverLost());
}

function credit(found, land) {
  const radar = [found.institution || found.feed, found.licence].filter(Boolean).join(", ");
  document.getElementById("credit").textContent = `Radar: ${radar}. Map: ${land.credit}. ${found.source}; ${found.grid}.`;
}

let polling = null;
async function poll() {
  clearTimeout(polling);
  try {
    const index = await fetchJson("index.json", { cache: "no-store" });
    if (!index.static) trust.setServerTime(index.now);
    place.asksServer = !index.static;
    listForecasts(index.forecasts);
    polling = setTimeout(poll, 1000 * index.poll_seconds);
  } catch {
    trust.serverLost();
    polling = setTimeout(poll, 5000);
  }
}

function listForecasts(forecasts) {
  const select = document.getElementById("forecast");
  const options = forecasts.map(({ id, issued, rung }) => {
    const option = document.createElement("option");
    const date = toDate(issued);
    option.value = id;
    option.textContent = `${utcDay(date)}, ${clocks(date)}${rung ? `, ${rung}` : ""}`;
    return option;
  });
  if (!options.length) {
    document.getElementById("moment").textContent = "No forecast yet.";
    return;
  }
  select.replaceChildren(...options);
  const { forecast, follows } = store.state;
  if (follows || !forecast) store.set({ forecast: forecasts[0].id });
  select.value = store.state.forecast;
}

// A page that was out of sight, as on a phone that slept, shows at once what has come since.
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });

store.on(["forecast"], ({ forecast }) => showForecast(forecast).catch(() => {
  document.getElementById("moment").textContent = `No forecast ${forecast}.`;
}));
store.on(["time"], draw);
store.on(["layer"], () => { if (facts) { wantPictures(); draw(); } });
store.on(["motion"], showMotion);
store.on(["cells", "time"], showCells);
store.on(["opacity"], ({ opacity }) => overlay?.setOpacity(opacity));
store.on(["view", "forecast", "layer", "time", "place", "motion", "cells"], (state) => {
  history.replaceState(null, "", toAddress(state));
});
map.on("moveend", () => {
  const { lat, lng } = map.getCenter();
  store.set({ view: { zoom: map.getZoom(), lat, lon: lng } });
});
document.getElementById("forecast").addEventListener("change", ({ target }) => {
  store.set({ follows: target.selectedIndex === 0, forecast: target.value });
});

const keys = document.getElementById("keys");
function help() {
  keys.showModal();
  if (place.asksServer) offerFiles(store.state.forecast).catch(() => trust.serverLost());
}

async function offerFiles(forecast) {
  const { files } = await fetchJson(`${forecast}/files.json`);
  const links = files.flatMap((name) => {
    const link = document.createElement("a");
    Object.assign(link, { href: `data/${forecast}/files/${name}`, textContent: name, download: name });
    return [link, " "];
  });
  document.getElementById("downloads").replaceChildren("Download: ", ...links);
}
document.getElementById("help").addEventListener("click", help);
const themeButton = document.getElementById("theme");
const nameTheme = () => { themeButton.textContent = currentTheme() === "dark" ? "Light" : "Dark"; };
themeButton.addEventListener("click", toggleTheme);
document.addEventListener("theme", nameTheme);
nameTheme();
listen({
  " ": () => timebar.toggle(),
  ",": () => timebar.step(-1),
  ".": () => timebar.step(1),
  n: () => timebar.toNow(),
  m: () => facts?.motion && store.set({ motion: !store.state.motion }),
  c: () => facts?.cells && store.set({ cells: !store.state.cells }),
  p: () => { const { lat, lng } = map.getCenter(); store.set({ place: { lon: lng, lat } }); },
  d: toggleTheme,
  "?": help,
  escape: () => place.close(),
  layer: (index) => layerbox.choose(index),
});

if (asked.forecast) showForecast(asked.forecast).catch(() => {});
poll();
