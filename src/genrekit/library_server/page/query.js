// Which tracks are asked for: the filters, the search and the lasso, shared by the table and the map.

export const KINDS = [
  ["all", "All tracks"], ["disagrees", "Tag disagrees"], ["missing", "Without a genre"],
  ["placeholder", "Placeholders"], ["below", "Unsure ones"], ["not_music", "Not music"],
  ["corrected", "Corrected"], ["failed", "Failed"], ["gone", "Gone"],
];

class Query extends EventTarget {
  sort = "artist";
  descending = false;
  search = "";
  filter = "all";
  genre = null;
  lasso = null; // corners [x, y] on the map

  /** Set some of the conditions; whoever shows tracks is called. */
  set(conditions) {
    Object.assign(this, conditions);
    this.dispatchEvent(new Event("change"));
  }

  clear() {
    this.set({ search: "", filter: "all", genre: null, lasso: null });
  }

  get isWhole() {
    return !this.search && this.filter === "all" && !this.genre && !this.lasso;
  }

  /** The conditions, as the server takes them. */
  get conditions() {
    const named = { search: this.search, filter: this.filter === "all" ? null : this.filter, genre: this.genre };
    const lasso = this.lasso && this.lasso.flat().map((value) => value.toFixed(4)).join(",");
    return Object.fromEntries(Object.entries({ ...named, lasso }).filter(([, value]) => value));
  }

  get parameters() {
    return { ...this.conditions, sort: this.sort, descending: this.descending };
  }
}

export const query = new Query();
