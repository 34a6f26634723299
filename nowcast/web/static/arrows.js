// Where the rain moves: arrows to where it will be, and in how many minutes beside the checkbox.

import { fetchJson } from "./api.js";
import { colour } from "./theme.js";

export class Arrows {
  #map;
  #group = L.layerGroup();
  #shown = null;

  constructor(map) {
    this.#map = map;
    this.renderer = L.canvas({ pane: "arrows", padding: 0.3 });
    document.addEventListener("theme", () => this.#group.eachLayer((line) => line.setStyle({ color: colour("ink") })));
  }

  async show(forecast, wanted) {
    if (!wanted) {
      this.#group.remove();
      return;
    }
    if (this.#shown !== forecast) {
      const { arrows, minutes } = await fetchJson(`${forecast}/motion.json`);
      this.#shown = forecast;
      this.#group.clearLayers();
      document.getElementById("motion-span").textContent = arrows.length ? `in ${minutes} min` : "";
      arrows.forEach((arrow) => this.#group.addLayer(this.#line(arrow)));
    }
    this.#group.addTo(this.#map);
  }

  #line([lon, lat, toLon, toLat]) {
    const from = L.CRS.EPSG3857.project(L.latLng(lat, lon));
    const ahead = L.CRS.EPSG3857.project(L.latLng(toLat, toLon)).subtract(from);
    const tip = from.add(ahead);
    const barb = (turn) => tip.subtract(L.point(
      ahead.x * Math.cos(turn) - ahead.y * Math.sin(turn),
      ahead.x * Math.sin(turn) + ahead.y * Math.cos(turn)).multiplyBy(0.35));
    const way = [from, tip, barb(0.5), tip, barb(-0.5)].map((point) => L.CRS.EPSG3857.unproject(point));
    return L.polyline(way, { renderer: this.renderer, color: colour("ink"), weight: 1.6, interactive: false });
  }
}
