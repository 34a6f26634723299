// Light or dark: as the system has it, until one is chosen.

const KEY = "nowcast-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export const current = () => remembered() ?? (system.matches ? "dark" : "light");

export function toggle() {
  const next = current() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
  apply(next);
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function remembered() {
  const said = document.documentElement.dataset.theme;
  if (said) return said;
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function apply(theme) {
  document.documentElement.dataset.theme = theme;
  document.dispatchEvent(new CustomEvent("theme"));
}

apply(current());
system.addEventListener("change", () => apply(system.matches ? "dark" : "light"));
