// Which layer is shown, how strongly, and what its colours mean.

const SHORT = /^probability-(.+)$/;

export class Layerbox {
  #store;
  #layers = [];

  constructor(store) {
    this.#store = store;
    // On a phone the map comes first.
    if (matchMedia("(max-width: 700px)").matches) document.getElementById("panel").open = false;
    const opacity = document.getElementById("opacity");
    opacity.addEventListener("input", () => store.set({ opacity: Number(opacity.value) / 100 }));
    opacity.value = String(100 * store.state.opacity);
    for (const key of ["motion", "cells"]) {
      const box = document.getElementById(key);
      box.addEventListener("change", () => store.set({ [key]: box.checked }));
      store.on([key], (state) => { box.checked = state[key]; });
      box.checked = store.state[key];
    }
    store.on(["layer"], () => this.#mark());
  }

  get layers() {
    return this.#layers;
  }

  setForecast(facts) {
    this.#layers = facts.layers.filter((layer) => layer.id !== "radar");
    const chances = this.#layers.filter((layer) => SHORT.test(layer.id));
    const plain = this.#layers.filter((layer) => !SHORT.test(layer.id));
    const box = document.getElementById("layers");
    const options = plain.map((layer) => this.#option(layer, layer.title));
    box.replaceChildren(box.firstElementChild, ...options);
    const steps = chances.map((layer) => this.#option(layer, SHORT.exec(layer.id)[1]));
    const unit = document.createElement("span");
    unit.textContent = "mm/h";
    document.getElementById("thresholds").replaceChildren(...steps, unit);
    document.getElementById("chances").hidden = chances.length === 0;
    document.getElementById("motion-choice").hidden = !facts.motion;
    document.getElementById("cells-choice").hidden = !facts.cells;
    this.#mark();
  }

  choose(index) {
    const layer = this.#layers[index];
    if (layer) this.#store.set({ layer: layer.id });
  }

  #option(layer, text) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "layer", value: layer.id });
    input.addEventListener("change", () => this.#store.set({ layer: layer.id }));
    const words = document.createElement("span");
    words.textContent = text;
    label.append(input, words);
    return label;
  }

  #mark() {
    const { layer } = this.#store.state;
    for (const input of document.querySelectorAll("#panel input[name=layer]")) {
      input.checked = input.value === layer;
    }
    const shown = this.#layers.find((one) => one.id === layer);
    if (shown) document.getElementById("legend").replaceChildren(...legend(shown.legend));
  }
}

function legend({ name, unit, labels, colours }) {
  const title = document.createElement("figcaption");
  title.textContent = `${name[0].toUpperCase()}${name.slice(1)}, ${unit}`;
  const scale = document.createElement("div");
  scale.className = "scale";
  colours.forEach((colour, index) => {
    if (colour === null && index === 0) return;
    const step = document.createElement("span");
    step.style.setProperty("--colour", colour ?? "transparent");
    step.textContent = index > 0 ? labels[index - 1] : "";
    scale.append(step);
  });
  const unseen = document.createElement("div");
  unseen.className = "unseen";
  unseen.textContent = "not seen";
  return [title, scale, unseen];
}
