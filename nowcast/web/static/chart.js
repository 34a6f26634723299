// The rain of a place over time, as SVG: bars for what the radar saw, a line and a band for what is
// foreseen, and a dash for what a gauge measured, as long as it measured.

const WIDTH = 360;
const HEIGHT = 150;
const LEFT = 30;
const BOTTOM = 20;
const TOP = 8;
const RIGHT = 18;
const TICKS = [0, 0.5, 2, 5, 10, 20, 50, 100];

export function chart(timeline, shown) {
  const times = [...timeline.radar, ...timeline.forecast].map((row) => Date.parse(row.time));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const gauges = timeline.gauges ?? [];
  const highest = Math.max(1, ...timeline.radar.map((row) => row.rate ?? 0),
    ...gauges.flatMap(({ readings }) => readings.map(({ rate }) => rate)),
    ...timeline.forecast.map((row) => Math.max(row.rate ?? 0, row.p90 ?? 0)));
  const x = (time) => LEFT + ((WIDTH - LEFT - RIGHT) * (time - first)) / Math.max(1, last - first);
  // By the root: light rain can be read beside a cloudburst.
  const y = (rate) => TOP + (HEIGHT - BOTTOM - TOP) * (1 - Math.sqrt(rate / highest));
  const issued = issueOf(timeline, first);

  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img" });
  svg.append(element("title", {}, "Rain rate over time, mm per hour"));
  const ticks = TICKS.filter((tick) => tick <= highest);
  for (const tick of ticks) {
    svg.append(element("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }));
    svg.append(element("text", { class: "y", x: LEFT - 4, y: y(tick) + 3 }, String(tick)));
  }
  svg.append(element("rect", { class: "ahead", x: x(issued), y: TOP, width: x(last) - x(issued), height: HEIGHT - BOTTOM - TOP }));
  const band = timeline.forecast.filter((row) => row.p10 !== undefined && row.p10 !== null);
  if (band.length) svg.append(element("path", { class: "band", d: bandPath(band, x, y) }));
  const step = (x(last) - x(first)) / Math.max(1, times.length - 1);
  for (const row of timeline.radar) {
    if (row.rate === null) continue;
    const at = Date.parse(row.time);
    const kind = at > issued ? "came" : "seen";
    svg.append(element("rect", { class: kind, x: x(at) - step * 0.4, width: Math.max(1, step * 0.8), y: y(row.rate), height: y(0) - y(row.rate) }));
  }
  const line = timeline.forecast.filter((row) => row.rate !== null);
  if (line.length) svg.append(element("path", { class: "said", d: linePath(line, x, y) }));
  gauges.forEach(({ readings }, index) => {
    svg.append(element("path", { class: `gauge g${index}`, d: dashes(readings, { x, y, first, last }) }));
  });
  hours(first, last).forEach((hour) => {
    const text = `${String(new Date(hour).getUTCHours()).padStart(2, "0")}:${String(new Date(hour).getUTCMinutes()).padStart(2, "0")}`;
    svg.append(element("text", { class: "x", x: x(hour), y: HEIGHT - 6 }, text));
  });
  const at = Math.min(Math.max(shown.getTime(), first), last);
  svg.append(element("line", { class: "shown", x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM }));
  return svg;
}

function issueOf(timeline, first) {
  const [one, two] = timeline.forecast.map((row) => Date.parse(row.time));
  return one === undefined ? first : one - ((two ?? one) - one);
}

function hours(first, last) {
  const found = [];
  const half = 3600e3;
  for (let time = Math.ceil(first / half) * half; time <= last; time += half) found.push(time);
  return found;
}

const linePath = (rows, x, y) => rows.map((row, index) => `${index ? "L" : "M"}${x(Date.parse(row.time))},${y(row.rate)}`).join("");

function dashes(readings, { x, y, first, last }) {
  return readings.map(({ time, minutes, rate }) => {
    const until = Date.parse(time);
    const from = Math.max(first, until - 60e3 * minutes);
    return until < first || from > last ? "" : `M${x(from)},${y(rate)}H${x(Math.min(until, last))}`;
  }).join("");
}

function bandPath(rows, x, y) {
  const up = rows.map((row, index) => `${index ? "L" : "M"}${x(Date.parse(row.time))},${y(row.p90)}`);
  const down = [...rows].reverse().map((row) => `L${x(Date.parse(row.time))},${y(row.p10)}`);
  return `${up.join("")}${down.join("")}Z`;
}

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
