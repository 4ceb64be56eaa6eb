// Points on a canvas, quick for 100,000: each is blended into the pixels as a small disc.

const MARGIN = 0.06;
const MAX_ZOOM = 200;

export class Points {
  constructor(canvas) {
    this.canvas = canvas;
    this.ids = [];
    this.x = this.y = this.labels = [];
    this.colours = [];
    this.lit = null; // the ids that stand out; null is all
    this.reset();
  }

  use({ ids, x, y, labels }, colours) {
    Object.assign(this, { ids, x, y, labels });
    this.colours = colours.map(partsOf);
    this.draw();
  }

  reset() {
    this.scale = 1;
    this.middle = [0, 0];
    this.draw();
  }

  move(right, down) {
    const unit = this.#unit();
    this.middle = [this.middle[0] - right / unit[0], this.middle[1] + down / unit[1]];
    this.draw();
  }

  /** Zoom so that the place under a pixel (the middle, without one) stays there. */
  zoom(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const before = this.placeOf(x, y);
    this.scale = Math.min(MAX_ZOOM, Math.max(0.5, this.scale * factor));
    const after = this.placeOf(x, y);
    this.middle = [this.middle[0] + before[0] - after[0], this.middle[1] + before[1] - after[1]];
    this.draw();
  }

  placeOf(x, y) {
    const unit = this.#unit();
    return [this.middle[0] + (x - this.canvas.clientWidth / 2) / unit[0],
      this.middle[1] - (y - this.canvas.clientHeight / 2) / unit[1]];
  }

  /** The corners of what is seen. */
  view() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return [[0, 0], [width, 0], [width, height], [0, height]].map(([x, y]) => this.placeOf(x, y));
  }

  /** The id of the nearest point within some pixels; null where there is none. */
  near(x, y, reach) {
    const unit = this.#unit();
    const place = this.placeOf(x, y);
    let found = null;
    let least = reach * reach;
    for (let index = 0; index < this.ids.length; index += 1) {
      if (this.lit && !this.lit.has(this.ids[index])) continue;
      const distance = ((this.x[index] - place[0]) * unit[0]) ** 2 + ((this.y[index] - place[1]) * unit[1]) ** 2;
      if (distance < least) [found, least] = [this.ids[index], distance];
    }
    return found;
  }

  /** Draw the points, and the lasso over them while it is drawn. */
  draw(lasso = null) {
    if (!this.canvas.clientWidth) return;
    this.lasso = lasso;
    if (this.isLate) return;
    this.isLate = true;
    requestAnimationFrame(() => {
      this.isLate = false;
      this.#draw();
    });
  }

  #draw() {
    const { canvas } = this;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = (canvas.width = Math.round(canvas.clientWidth * ratio));
    const height = (canvas.height = Math.round(canvas.clientHeight * ratio));
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
    fillGround(image.data, isDark ? [12, 11, 18] : [255, 255, 255]);
    const colours = isDark ? this.colours.map(lighter) : this.colours;
    const dim = isDark ? [58, 56, 69] : [216, 214, 224];
    if (this.lit) this.#stampAll(image, ratio, (index) => (this.lit.has(this.ids[index]) ? null : dim), 0.7);
    this.#stampAll(image, ratio, (index) =>
      (this.lit && !this.lit.has(this.ids[index]) ? null : colours[this.labels[index]] ?? dim), 0.85);
    context.putImageData(image, 0, 0);
    if (this.lasso) this.#drawLasso(context, ratio);
  }

  #stampAll(image, ratio, colourAt, opacity) {
    const unit = this.#unit().map((value) => value * ratio);
    const radius = ratio * this.#radius();
    const disc = discOf(radius, opacity);
    const [left, top] = [image.width / 2 - this.middle[0] * unit[0], image.height / 2 + this.middle[1] * unit[1]];
    for (let index = 0; index < this.ids.length; index += 1) {
      const x = Math.round(left + this.x[index] * unit[0]) - disc.half;
      const y = Math.round(top - this.y[index] * unit[1]) - disc.half;
      if (x < 0 || y < 0 || x + disc.size > image.width || y + disc.size > image.height) continue;
      const colour = colourAt(index);
      if (colour) stamp(image, x, y, disc, colour);
    }
  }

  /** Small where there are many, larger where one has zoomed in. */
  #radius() {
    const few = 6 - Math.log10(Math.max(this.ids.length, 10));
    return Math.min(8, Math.max(1.3, few * Math.sqrt(this.scale) ** 0.6));
  }

  #drawLasso(context, ratio) {
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.beginPath();
    this.lasso.forEach(([x, y]) => context.lineTo(x, y));
    context.closePath();
    context.fillStyle = "rgb(122 75 181 / 18%)";
    context.fill();
    context.strokeStyle = getComputedStyle(this.canvas).color;
    context.lineWidth = 2;
    context.setLineDash([6, 4]);
    context.stroke();
  }

  #unit() {
    const side = (1 - MARGIN) / 2;
    return [this.canvas.clientWidth * side * this.scale, this.canvas.clientHeight * side * this.scale];
  }
}

/** A colour that stands out on a dark ground, as style.css lightens the dots. */
function lighter(parts) {
  return parts.map((part) => part + 0.3 * (255 - part));
}

function partsOf(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

function fillGround(data, [red, green, blue]) {
  new Uint32Array(data.buffer).fill(((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0);
}

/** How much of each pixel a disc covers, times its opacity. */
function discOf(radius, opacity) {
  const half = Math.ceil(radius);
  const size = 2 * half + 1;
  const cover = new Float32Array(size * size);
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const beyond = Math.hypot(x - half, y - half) - radius;
      cover[y * size + x] = opacity * Math.min(1, Math.max(0, 0.5 - beyond));
    }
  }
  return { half, size, cover };
}

function stamp(image, left, top, { size, cover }, colour) {
  const { data, width } = image;
  for (let y = 0; y < size; y += 1) {
    let at = 4 * ((top + y) * width + left);
    for (let x = 0; x < size; x += 1, at += 4) {
      const share = cover[y * size + x];
      if (!share) continue;
      data[at] += share * (colour[0] - data[at]);
      data[at + 1] += share * (colour[1] - data[at + 1]);
      data[at + 2] += share * (colour[2] - data[at + 2]);
    }
  }
}
