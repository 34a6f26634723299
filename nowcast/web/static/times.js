// Times as addresses have them (20260601T1225Z), and as people read them.

export function toDate(stamp) {
  const [, year, month, day, hour, minute] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)Z$/.exec(stamp);
  return new Date(Date.UTC(year, month - 1, day, hour, minute));
}

const pad = (number) => String(number).padStart(2, "0");

export function utcClock(date) {
  return `${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())} UTC`;
}

export function localClock(date) {
  return `${pad(date.getHours())}:${pad(date.getMinutes())}`;
}

export function utcDay(date) {
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// Both clocks, or one where they agree.
export function clocks(date) {
  return date.getTimezoneOffset() === 0 ? utcClock(date) : `${localClock(date)} (${utcClock(date)})`;
}

export function lead(minutes) {
  if (minutes === 0) return "now";
  const sign = minutes < 0 ? "−" : "+";
  return `${sign}${Math.abs(minutes)} min`;
}

// How long ago: 4 min, 3 h, 16 years.
export function age(minutes) {
  const units = [[525960, "year"], [1440, "day"], [60, "h"]];
  for (const [size, name] of units) {
    if (minutes >= 2 * size) {
      const count = Math.floor(minutes / size);
      return name === "h" ? `${count} h` : `${count} ${name}s`;
    }
  }
  return `${Math.max(0, Math.floor(minutes))} min`;
}
