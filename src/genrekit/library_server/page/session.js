// What all views share: the session, the names and colours of genres, and who wants to know of changes.

import { get } from "./api.js";
import { byId } from "./elements.js";

class Session extends EventTarget {
  constructor() {
    super();
    this.fields = null;
    this.labels = new Map();
  }

  /** Fetch the session; views that care are called. */
  async load() {
    this.fields = await get("session");
    this.labels = new Map(this.fields.labels.map((label) => [label.label, label]));
    this.dispatchEvent(new Event("change"));
  }

  get isReadOnly() {
    return this.fields.read_only;
  }

  get isEmpty() {
    return !this.fields.counts.all && !this.fields.counts.gone;
  }

  colour(label) {
    return this.labels.get(label)?.colour ?? "#8a8894";
  }

  name(label) {
    return this.labels.get(label)?.display_name ?? label;
  }
}

export const session = new Session();

/** Show one sentence above the page until the next one; an empty one hides it. */
export function notify(sentence, isError = false) {
  const notice = byId("notice");
  notice.textContent = sentence ? sentence[0].toUpperCase() + sentence.slice(1) : "";
  notice.classList.toggle("error", isError);
  notice.hidden = !sentence;
}

/** Do something; say why where the server refuses it. Returns whether it was done. */
export async function attempt(act) {
  try {
    notify("");
    await act();
    return true;
  } catch (error) {
    notify(error.message, true);
    return false;
  }
}
