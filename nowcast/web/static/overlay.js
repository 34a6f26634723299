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
