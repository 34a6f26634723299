// What the rain gauges near a place measured: said in words, as a table, and which are the nearest.

import { distance } from "./map.js";
import { utcClock } from "./times.js";

const NEAREST = 2;

// The gauges nearest to a place, of all that a static site has; the server chooses likewise.
export function nearest({ within_km: within, gauges }, place) {
  const near = gauges
    .map((gauge) => ({ ...gauge, km: Number(distance(gauge, place).toFixed(1)) }))
    .filter(({ km }) => km <= within)
    .sort((one, other) => one.km - other.km);
  return { within_km: within, gauges: near.slice(0, NEAREST) };
}

// A line a gauge, with its mark in the chart: what it measured up to the time that is shown.
export function list({ gauges, within_km: within }, shown) {
  const made = document.createElement("ul");
  made.className = "key measured";
  if (!gauges) return made;
  if (!gauges.length) made.append(line("", `No gauge with readings within ${within} km`));
  gauges.forEach((gauge, index) => {
    const read = gauge.readings.findLast(({ time }) => Date.parse(time) <= shown.getTime()) ?? gauge.readings[0];
    const rate = `${read.rate.toFixed(1)} mm/h in the ${read.minutes} min to ${utcClock(new Date(read.time))}`;
    made.append(line(`gauge g${index}`, `gauge ${gauge.name} (${gauge.km} km): ${rate}`));
  });
  return made;
}

// Heads and rows of a table, a row a time, newest last.
export function columns(gauges) {
  const times = [...new Set(gauges.flatMap(({ readings }) => readings.map(({ time }) => time)))].sort();
  const known = gauges.map(({ readings }) => new Map(readings.map(({ time, rate }) => [time, rate])));
  return {
    heads: ["Until", ...gauges.map(({ name }) => name)],
    rows: times.map((time) => [time, ...known.map((rates) => rates.get(time))]),
  };
}

function line(className, text) {
  const made = document.createElement("li");
  made.className = className;
  made.textContent = text;
  return made;
}
