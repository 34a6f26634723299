// Storm cells: their outline at the shown time, where they came from and where they go.

import { fetchJson } from "./api.js";
import { colour } from "./theme.js";

const swap = (places) => places.map(([lon, lat]) => [lat, lon]);

export class Cells {
  #map;
  #group = L.layerGroup();
  #shown = null;
  #cells = [];

  constructor(map) {
    this.#map = map;
    this.renderer = L.canvas({ pane: "arrows", padding: 0.3 });
  }

  // `lead` is the number of the lead, -1 for now; before now no cell is drawn.
  async show(forecast, wanted, lead) {
    if (!wanted) {
      this.#group.remove();
      return;
    }
    if (this.#shown !== forecast) {
      this.#cells = (await fetchJson(`${forecast}/cells.json`)).cells;
      this.#shown = forecast;
    }
    this.#group.clearLayers();
    if (lead !== null) this.#cells.forEach((cell) => this.#draw(cell, lead));
    this.#group.addTo(this.#map);
  }

  #draw({ outline, past, ahead }, lead) {
    const style = { renderer: this.renderer, color: colour("ink"), interactive: false, fill: false };
    const here = past.at(-1) ?? ahead[0];
    const now = lead < 0 ? here : ahead[lead];
    const moved = outline.map(([lon, lat]) => [lon + now[0] - here[0], lat + now[1] - here[1]]);
    this.#group.addLayer(L.polygon(swap(moved), { ...style, weight: 2.5 }));
    this.#group.addLayer(L.polyline(swap(past), { ...style, weight: 2 }));
    this.#group.addLayer(L.polyline(swap([here, ...ahead]), { ...style, weight: 1.5, dashArray: "4 4" }));
  }
}
