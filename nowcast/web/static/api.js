// What the server, or the folder of a static site, gives.

const BASE = "data";

export async function fetchJson(path, options = {}) {
  const answer = await fetch(`${BASE}/${path}`, { headers: { accept: "application/json" }, ...options });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

export const pictureAddress = (forecast, layer, time) => `${BASE}/${forecast}/${layer}/${time}.png`;
