// The time line: the past seen by radar, now, and the forecast, told apart; and what plays it.

import { clocks, lead, toDate, utcDay } from "./times.js";

export class Timebar {
  #store;
  #frames = [];
  #timer = null;
  #ready = () => true;
  #slider = document.getElementById("slider");
  #play = document.getElementById("play");
  #speed = document.getElementById("speed");

  // `ready(frame)` says whether the picture of a frame is here; playing waits for it.
  constructor(store, ready) {
    this.#store = store;
    this.#ready = ready;
    this.#slider.addEventListener("input", () => this.#show(Number(this.#slider.value)));
    this.#play.addEventListener("click", () => this.toggle());
    document.getElementById("back").addEventListener("click", () => this.step(-1));
    document.getElementById("forward").addEventListener("click", () => this.step(1));
    document.getElementById("now").addEventListener("click", () => this.toNow());
    this.#speed.addEventListener("change", () => this.#timer && this.#start());
    store.on(["time"], () => this.#mark());
  }

  get frames() {
    return this.#frames;
  }

  get index() {
    return this.#frames.findIndex((frame) => frame.time === this.#store.state.time);
  }

  get nowIndex() {
    return this.#frames.findLastIndex((frame) => frame.kind === "radar");
  }

  setFrames(frames) {
    this.#frames = frames;
    this.#slider.max = String(frames.length - 1);
    document.getElementById("frames").replaceChildren(...frames.map(segment));
    document.getElementById("marks").replaceChildren(...marks(frames));
    this.#mark();
  }

  step(by) {
    this.#stop();
    const count = this.#frames.length;
    this.#show((this.index + by + count) % count);
  }

  toNow() {
    this.#stop();
    this.#show(this.nowIndex);
  }

  toggle() {
    if (this.#timer) this.#stop();
    else this.#start();
  }

  // Mark which frames are here.
  loaded() {
    [...document.getElementById("frames").children].forEach((element, index) => {
      element.classList.toggle("here", this.#ready(this.#frames[index]));
    });
  }

  #show(index) {
    const time = this.#frames[index]?.time;
    if (time) this.#store.set({ time, atNow: index === this.nowIndex });
  }

  #start() {
    clearInterval(this.#timer);
    const perSecond = Number(this.#speed.value);
    this.#timer = setInterval(() => this.#advance(perSecond), 1000 / perSecond);
    this.#say(true);
  }

  #stop() {
    clearInterval(this.#timer);
    this.#timer = null;
    this.#say(false);
  }

  // The last frame stays a moment, so that the loop has an end.
  #pause = 0;
  #advance(perSecond) {
    const next = (this.index + 1) % this.#frames.length;
    if (next === 0 && (this.#pause += 1) < perSecond) return;
    if (!this.#ready(this.#frames[next])) return;
    this.#pause = 0;
    this.#show(next);
  }

  #say(playing) {
    this.#play.textContent = playing ? "❚❚" : "▶";
    this.#play.setAttribute("aria-label", playing ? "Stop" : "Play");
    this.#play.setAttribute("aria-pressed", String(playing));
  }

  #mark() {
    const frame = this.#frames[this.index];
    if (!frame) return;
    this.#slider.value = String(this.index);
    this.#slider.setAttribute("aria-valuetext", describe(frame));
    document.getElementById("track").style.setProperty("--at", this.index / Math.max(1, this.#frames.length - 1));
  }
}

export function describe(frame) {
  const date = toDate(frame.time);
  const kind = frame.kind === "radar" ? "Radar" : "Forecast";
  return `${kind} ${lead(frame.lead_minutes)}, ${clocks(date)}, ${utcDay(date)}`;
}

function segment(frame) {
  const element = document.createElement("span");
  element.className = frame.kind;
  return element;
}

// A mark at every hour or half hour of lead, as they fit, and one at now.
function marks(frames) {
  const every = frames.length > 60 ? 60 : 30;
  return frames.flatMap((frame, index) => {
    if (frame.lead_minutes % every !== 0) return [];
    const element = document.createElement("span");
    element.style.left = `${(100 * index) / Math.max(1, frames.length - 1)}%`;
    element.className = frame.lead_minutes === 0 ? "now" : "";
    element.classList.toggle("half", frame.lead_minutes % 60 !== 0);
    const hours = Math.abs(frame.lead_minutes) / 60;
    element.textContent = frame.lead_minutes === 0 ? "now" : `${frame.lead_minutes < 0 ? "−" : "+"}${hours} h`;
    return [element];
  });
}
