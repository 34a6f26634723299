// How far what is shown can be trusted: how old its data are, which method answered and why.
//
// The age of a frame is that of its newest radar data: a radar frame's own, a forecast's since issue.
// Amber after two time steps, red with a banner after four, in words as well as in colour.

import { age, toDate, utcClock, utcDay } from "./times.js";

const AMBER_STEPS = 2;
const RED_STEPS = 4;

export class Trust {
  #facts = null;
  #frame = null;
  #ahead = 0;  // of the server's clock before ours, in ms: ours may be wrong
  #lost = false;

  constructor() {
    setInterval(() => this.#tell(), 1000);
  }

  setServerTime(iso) {
    this.#ahead = Date.parse(iso) - Date.now();
    this.#lost = false;
    this.#tell();
  }

  // The server did not answer: what is shown may have been replaced.
  serverLost() {
    this.#lost = true;
    this.#tell();
  }

  setForecast(facts) {
    this.#facts = facts;
    const method = document.getElementById("method");
    const name = facts.rung || facts.source.split(":")[0];
    method.textContent = name;
    method.title = facts.source;
    method.classList.toggle("degraded", Boolean(facts.degraded_reason));
    const made = facts.simulated ? "simulated storm" : facts.institution || facts.feed;
    document.getElementById("feed").textContent = made;
    this.#tell();
  }

  setFrame(frame) {
    this.#frame = frame;
    this.#tell();
  }

  #minutesSince(time) {
    return (Date.now() + this.#ahead - toDate(time)) / 60000;
  }

  #tell() {
    if (!this.#facts) return;
    const { issued, step_minutes: step } = this.#facts;
    const shown = this.#frame?.kind === "radar" ? this.#frame.time : issued;
    const late = this.#minutesSince(issued);
    const state = late > RED_STEPS * step ? "red" : late > AMBER_STEPS * step ? "amber" : "fresh";
    const badge = document.getElementById("age");
    badge.dataset.state = state;
    const word = { fresh: "", amber: "late: ", red: "old: " }[state];
    set(badge, `${word}data ${age(this.#minutesSince(shown))} old`);
    this.#warn(state, late);
  }

  #warn(state, late) {
    const said = [];
    const { issued, degraded_reason: reason } = this.#facts;
    const date = toDate(issued);
    if (state === "red") {
      said.push(`Not current: the newest radar data are ${age(late)} old (${utcDay(date)}, ${utcClock(date)}).`);
    }
    if (this.#lost) said.push("The server does not answer; what is loaded stays.");
    if (reason) said.push(`Not the best forecast: ${reason}.`);
    const banner = document.getElementById("banner");
    banner.hidden = said.length === 0;
    banner.dataset.state = state;
    set(banner, said.join(" "));
  }
}

// Only what has changed, so that a screen reader does not say it every second.
function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
