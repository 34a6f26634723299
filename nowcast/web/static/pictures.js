// Pictures of a forecast, loaded from the shown one outwards and kept: what is here plays on
// without the server.

import { pictureAddress } from "./api.js";

const AT_ONCE = 4;
const KEPT = 400;

export class Pictures {
  #kept = new Map();
  #wanted = [];
  #loading = 0;
  #heard;

  // `heard(key)` is called when a picture has come, or could not.
  constructor(heard) {
    this.#heard = heard;
  }

  static key = (forecast, layer, time) => `${forecast}/${layer}/${time}`;

  // The picture, or null where it is not here (yet).
  get(key) {
    return this.#kept.get(key)?.picture ?? null;
  }

  failed(key) {
    return this.#kept.get(key)?.failed ?? false;
  }

  // Load these next, the first one first; what waited before is forgotten.
  want(requests) {
    this.#wanted = requests.filter(({ key }) => !this.get(key));
    this.#next();
  }

  #next() {
    while (this.#loading < AT_ONCE && this.#wanted.length) {
      const request = this.#wanted.shift();
      const known = this.#kept.get(request.key);
      if (known?.picture || known?.busy) continue;
      this.#load(request);
    }
  }

  async #load({ key, forecast, layer, time }) {
    this.#loading += 1;
    this.#kept.set(key, { busy: true });
    try {
      const answer = await fetch(pictureAddress(forecast, layer, time));
      if (!answer.ok) throw new Error(String(answer.status));
      const picture = new Image();
      picture.src = URL.createObjectURL(await answer.blob());
      await picture.decode();
      this.#kept.set(key, { picture });
      this.#forgetOldest();
    } catch {
      this.#kept.set(key, { failed: true });
    }
    this.#loading -= 1;
    this.#heard(key);
    this.#next();
  }

  #forgetOldest() {
    for (const [key, { picture }] of this.#kept) {
      if (this.#kept.size <= KEPT) return;
      if (picture) URL.revokeObjectURL(picture.src);
      this.#kept.delete(key);
    }
  }
}
