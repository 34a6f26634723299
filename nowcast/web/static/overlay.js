// A picture over the map, drawn on one canvas: switching frames is one drawing operation.

export function createOverlay(map, bounds, [width, height]) {
  const Overlay = L.ImageOverlay.extend({
    _initImage() {
      const canvas = document.createElement("canvas");
      canvas.width = width;
      canvas.height = height;
      canvas.className = "leaflet-image-layer rain";
      if (this._zoomAnimated) canvas.classList.add("leaflet-zoom-animated");
      this._image = canvas;
    },
  });
  const [west, south, east, north] = bounds;
  const overlay = new Overlay("", [[south, west], [north, east]]).addTo(map);
  const canvas = overlay.getElement();
  const context = canvas.getContext("2d");

  // A cell stays a square when it is larger than a pixel of the screen.
  function sharpen() {
    const shown = map.latLngToContainerPoint([north, east]).x - map.latLngToContainerPoint([north, west]).x;
    canvas.classList.toggle("large", shown > width);
  }
  sharpen();
  map.on("zoomend", sharpen);

  return {
    canvas,
    draw(picture) {
      context.clearRect(0, 0, width, height);
      if (picture) context.drawImage(picture, 0, 0);
    },
    setOpacity: (value) => overlay.setOpacity(value),
    remove() {
      map.off("zoomend", sharpen);
      overlay.remove();
    },
  };
}

const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

// The least value that the colour of a place stands for: 0 where dry, null where unseen or outside.
export function lowerBound(picture, [west, south, east, north], { lon, lat }, { labels, colours }) {
  const height = (degrees) => Math.asinh(Math.tan((degrees * Math.PI) / 180));
  const x = Math.floor((picture.naturalWidth * (lon - west)) / (east - west));
  const y = Math.floor((picture.naturalHeight * (height(north) - height(lat))) / (height(north) - height(south)));
  if (x < 0 || y < 0 || x >= picture.naturalWidth || y >= picture.naturalHeight) return null;
  pixel.canvas.width = pixel.canvas.height = 1;
  pixel.drawImage(picture, -x, -y);
  const [red, green, blue, alpha] = pixel.getImageData(0, 0, 1, 1).data;
  if (alpha === 0) return 0;
  const hex = `#${[red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("")}`;
  const found = colours.indexOf(hex);
  return alpha === 255 && found > 0 ? Number(labels[found - 1]) : null;
}
