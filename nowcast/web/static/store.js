// What is looked at, as one value that everything else follows, and that the address of the page holds.
//
// #map=7/52.1/5.2&forecast=20260601T1225Z&layer=rate&time=20260601T1300Z&place=5.18/52.1

export class Store {
  #state;
  #listeners = [];

  constructor(state) {
    this.#state = { ...state };
  }

  get state() {
    return this.#state;
  }

  // Calls `listener(state)` when one of `keys` has changed.
  on(keys, listener) {
    this.#listeners.push({ keys, listener });
  }

  set(changes) {
    const changed = Object.keys(changes).filter((key) => !same(changes[key], this.#state[key]));
    if (!changed.length) return;
    this.#state = { ...this.#state, ...changes };
    for (const { keys, listener } of this.#listeners) {
      if (keys.some((key) => changed.includes(key))) listener(this.#state);
    }
  }
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export function fromAddress(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const found = {};
  const view = numbers(said.get("map"), 3);
  if (view) found.view = { zoom: view[0], lat: view[1], lon: view[2] };
  const place = numbers(said.get("place"), 2);
  if (place) found.place = { lon: place[0], lat: place[1] };
  for (const key of ["forecast", "layer", "time"]) {
    if (said.has(key)) found[key] = said.get(key);
  }
  for (const key of ["motion", "cells"]) {
    if (said.has(key)) found[key] = said.get(key) === "1";
  }
  return found;
}

// Following the newest forecast, the address names neither it nor the time: both move on.
export function toAddress(state) {
  const parts = [];
  const { view, place } = state;
  if (view) parts.push(`map=${view.zoom}/${view.lat.toFixed(3)}/${view.lon.toFixed(3)}`);
  if (!state.follows) parts.push(`forecast=${state.forecast}`);
  if (state.layer) parts.push(`layer=${state.layer}`);
  if (state.time && !(state.follows && state.atNow)) parts.push(`time=${state.time}`);
  if (place) parts.push(`place=${place.lon.toFixed(4)}/${place.lat.toFixed(4)}`);
  if (state.motion) parts.push("motion=1");
  if (state.cells) parts.push("cells=1");
  return `#${parts.join("&")}`;
}

function numbers(text, count) {
  const found = (text ?? "").split("/").map(Number);
  return text && found.length === count && found.every(Number.isFinite) ? found : null;
}
