// What is played, in the bar at the bottom, whatever view is open.

import { addressOf } from "./api.js";
import { showCover } from "./covers.js";
import { byId, titleOf } from "./elements.js";
import { notify } from "./session.js";

class Sound extends EventTarget {
  row = null;

  start(onOpen) {
    this.audio = byId("player");
    byId("sound-title").addEventListener("click", () => this.row && onOpen(this.row));
    for (const kind of ["play", "pause", "ended"]) {
      this.audio.addEventListener(kind, () => this.dispatchEvent(new Event("change")));
    }
    this.audio.addEventListener("error", () => {
      if (this.row) notify(`${titleOf(this.row)} cannot be played`, true);
    });
  }

  isPlaying(id) {
    return this.row?.id === id && !this.audio.paused;
  }

  /** Make a track the one that is played. */
  take(row) {
    if (this.row?.id === row.id) return;
    this.row = row;
    this.audio.src = addressOf(row.id, "audio");
    byId("sound").hidden = false;
    const by = row.artist ? `${titleOf(row)} · ${row.artist}` : titleOf(row);
    byId("sound-title").textContent = by;
    showCover(byId("sound-cover"), row, true);
    this.dispatchEvent(new Event("change"));
  }

  /** Play a track, or stop it where it is played. */
  toggle(row) {
    if (this.isPlaying(row.id)) this.audio.pause();
    else {
      this.take(row);
      this.play();
    }
  }

  play() {
    this.audio.play().catch(() => {}); // another track was taken, or "error" has said why
  }
}

export const sound = new Sound();
