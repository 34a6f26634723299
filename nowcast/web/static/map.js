// The map: Leaflet, with geography drawn from vectors below and above the rain.

import { colour } from "./theme.js";

const LABEL_ROOM = [96, 22];  // pixels that a place's name takes

export function createMap(element) {
  const map = L.map(element, {
    zoomControl: false,
    attributionControl: false,
    minZoom: 3,
    maxZoom: 13,
    zoomSnap: 0.5,
    worldCopyJump: false,
  });
  L.control.zoom({ position: "topright" }).addTo(map);
  L.control.scale({ position: "topright", imperial: false }).addTo(map);
  for (const [name, level] of [["land", 200], ["lines", 450], ["arrows", 460], ["places", 470]]) {
    map.createPane(name).style.zIndex = level;
    map.getPane(name).style.pointerEvents = "none";
  }
  return map;
}

export function showGeography(map, geography) {
  const drawn = [];
  const below = L.canvas({ pane: "land", padding: 0.5 });
  const above = L.canvas({ pane: "lines", padding: 0.5 });
  for (const [name, geometry] of Object.entries(geography.layers)) {
    const renderer = name === "land" ? below : above;
    const layer = L.geoJSON(geometry, { renderer, pane: renderer.options.pane, interactive: false });
    drawn.push([name, layer.addTo(map)]);
  }
  const paint = () => drawn.forEach(([name, layer]) => layer.setStyle(style(name)));
  paint();
  document.addEventListener("theme", paint);
  const labels = L.layerGroup().addTo(map);
  const label = () => showPlaces(map, labels, geography.places);
  label();
  map.on("moveend", label);
  return {
    remove() {
      drawn.forEach(([, layer]) => layer.remove());
      labels.remove();
      map.off("moveend", label);
      document.removeEventListener("theme", paint);
    },
  };
}

function style(name) {
  if (name === "land") return { stroke: false, fill: true, fillColor: colour("land"), fillOpacity: 1 };
  if (name === "lakes") return { color: colour("coast"), weight: 0.8, fill: false };
  const weights = { coastlines: 1.1, borders: 1.2, rivers: 0.6 };
  return {
    color: colour(name === "coastlines" ? "coast" : name),
    weight: weights[name],
    fill: false,
    dashArray: name === "borders" ? "5 4" : null,
    opacity: name === "rivers" ? 0.7 : 0.9,
  };
}

// The largest places that have room for their name.
function showPlaces(map, labels, places) {
  labels.clearLayers();
  const size = map.getSize();
  const taken = [];
  for (const [name, lon, lat] of places) {
    const { x, y } = map.latLngToContainerPoint([lat, lon]);
    if (x < 0 || y < 0 || x > size.x || y > size.y) continue;
    if (taken.some((at) => Math.abs(at.x - x) < LABEL_ROOM[0] && Math.abs(at.y - y) < LABEL_ROOM[1])) continue;
    taken.push({ x, y });
    labels.addLayer(placeMarker(name, [lat, lon]));
    if (taken.length > 40) return;
  }
}

function placeMarker(name, at) {
  const element = document.createElement("span");
  element.textContent = name;
  const icon = L.divIcon({ className: "town", html: element, iconSize: [0, 0] });
  return L.marker(at, { icon, pane: "places", interactive: false, keyboard: false });
}

// The town nearest to a place, and how far it is (km).
export function nearestTown(places, { lon, lat }) {
  let best = null;
  for (const [name, townLon, townLat] of places) {
    const away = distance({ lon: townLon, lat: townLat }, { lon, lat });
    if (!best || away < best.distance) best = { name, distance: away };
  }
  return best;
}

// Between two places that are near each other, in km.
export function distance(one, other) {
  const across = (one.lon - other.lon) * Math.cos((other.lat * Math.PI) / 180);
  return 111.2 * Math.hypot(across, one.lat - other.lat);
}
