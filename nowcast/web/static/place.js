// Click on a place: its rain, seen and foreseen, in a panel beside the map.

import { fetchJson } from "./api.js";
import { chart } from "./chart.js";
import { columns, list } from "./gauges.js";
import { nearestTown } from "./map.js";
import { toDate, utcClock } from "./times.js";

export class Place {
  #store;
  #map;
  #marks = null;
  #asked = 0;
  #timeline = null;
  #towns = [];
  #read;
  asksServer = true;
  #panel = document.getElementById("place");

  // `read(place)` gives a timeline without the server.
  constructor(store, map, read) {
    this.#store = store;
    this.#read = read;
    this.#map = map;
    map.on("click", ({ latlng }) => store.set({ place: { lon: latlng.wrap().lng, lat: latlng.lat } }));
    store.on(["place"], () => this.refresh());
    store.on(["time"], () => this.#draw());
  }

  setTowns(places) {
    this.#towns = places;
  }

  close() {
    this.#store.set({ place: null });
  }

  async refresh() {
    const { place, forecast } = this.#store.state;
    this.#marks?.remove();
    this.#panel.hidden = !place;
    if (!place || !forecast) return;
    this.#marks = L.layerGroup([mark(place, 7, "chosen")]).addTo(this.#map);
    const asked = (this.#asked += 1);
    if (!this.#panel.childElementCount) this.#panel.textContent = "Loading.";
    const query = `lon=${place.lon.toFixed(5)}&lat=${place.lat.toFixed(5)}`;
    const timeline = this.asksServer
      ? await fetchJson(`${forecast}/point.json?${query}`).catch(() => this.#read(place))
      : await this.#read(place);
    if (asked !== this.#asked) return;  // another place was asked for meanwhile
    this.#timeline = timeline;
    timeline.gauges?.forEach((gauge, index) => this.#marks.addLayer(mark(gauge, 5, `gauge g${index}`)));
    this.#draw();
  }

  #draw() {
    const { place, time } = this.#store.state;
    if (!place || !this.#timeline) return;
    const heading = document.createElement("h2");
    heading.textContent = this.#title(place);
    const close = document.createElement("button");
    Object.assign(close, { type: "button", className: "close", textContent: "×" });
    close.setAttribute("aria-label", "Close the place");
    close.addEventListener("click", () => this.close());
    const words = document.createElement("p");
    words.className = "words";
    words.textContent = this.#timeline.words;
    const parts = [heading, close, words];
    if (this.#timeline.forecast.length) {
      const shown = toDate(time);
      parts.push(chart(this.#timeline, shown), key(this.#timeline), list(this.#timeline, shown), table(this.#timeline));
    }
    const near = this.#timeline.stations ?? [];
    if (near.length) {
      const line = document.createElement("p");
      line.className = "near";
      line.textContent = `Nearest stations: ${near.map(({ name, km }) => `${name} (${km} km)`).join(", ")}`;
      parts.push(line);
    }
    const open = this.#panel.querySelector("details")?.open;
    this.#panel.replaceChildren(...parts);
    if (open) this.#panel.querySelector("details").open = true;
    performance.mark("timeline-shown");
  }

  #title({ lon, lat }) {
    const town = nearestTown(this.#towns, { lon, lat });
    const where = `${Math.abs(lat).toFixed(2)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lon).toFixed(2)}° ${lon < 0 ? "W" : "E"}`;
    if (!town) return where;
    return town.distance < 4 ? `${town.name} (${where})` : `${Math.round(town.distance)} km from ${town.name} (${where})`;
  }
}

function mark({ lat, lon }, radius, className) {
  return L.circleMarker([lat, lon], { radius, className, interactive: false });
}

function key(timeline) {
  const list = document.createElement("ul");
  list.className = "key";
  const entries = [["seen", "radar"], ["said", "forecast, mm/h"]];
  if (timeline.forecast.some((row) => row.p10 !== undefined)) entries.push(["band", "8 of 10 cases"]);
  if (timeline.radar.some((row) => row.time >= timeline.forecast[0].time)) entries.push(["came", "radar since"]);
  for (const [name, text] of entries) {
    const item = document.createElement("li");
    item.className = name;
    item.textContent = text;
    list.append(item);
  }
  return list;
}

function table(timeline) {
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = "Numbers";
  const made = document.createElement("table");
  const banded = timeline.forecast.some((row) => row.p10 !== undefined);
  const chances = timeline.thresholds_mm_h ?? [];
  const columns = ["Time", "mm/h", ...(banded ? ["10 %", "90 %"] : []), ...chances.map((level) => `≥ ${level}`)];
  made.append(tableRow("th", columns));
  for (const row of timeline.forecast) {
    const values = [clock(row.time), number(row.rate)];
    if (banded) values.push(number(row.p10), number(row.p90));
    for (const value of row.probability ?? []) values.push(value === null ? "–" : `${Math.round(100 * value)} %`);
    made.append(tableRow("td", values));
  }
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "Numbers of the forecast at this place, times in UTC");
  scroll.append(made);
  if (timeline.gauges?.length) scroll.append(gaugeTable(timeline.gauges));
  details.append(summary, scroll);
  return details;
}

function gaugeTable(gauges) {
  const { heads, rows } = columns(gauges);
  const made = document.createElement("table");
  made.className = "gauges";
  const caption = made.createCaption();
  caption.textContent = "Gauges, mm/h";
  made.append(tableRow("th", heads));
  for (const [time, ...rates] of rows) made.append(tableRow("td", [clock(time), ...rates.map(number)]));
  return made;
}

const clock = (time) => utcClock(new Date(time)).replace(" UTC", "");
const number = (value) => (value === null || value === undefined ? "–" : value.toFixed(1));

function tableRow(kind, values) {
  const row = document.createElement("tr");
  for (const value of values) {
    const cell = document.createElement(kind);
    if (kind === "th") cell.scope = "col";
    cell.textContent = value;
    row.append(cell);
  }
  return row;
}
