// The images of a set by number, each as far as its newest order has come. Pure.
// Events may come before the list that has them already, and after; what is further on stands.

// The three ends share a place: the one that came first stands, and only the file can follow it.
const PLACES = { waiting: -1, intended: 0, sent: 1, processing: 2, succeeded: 3, failed: 3, cancelled: 3, stored: 4 };

export class ImageItems {
  constructor() {
    this.byNumber = new Map();
  }

  /** Take over an item as the API lists it or as an event of the stream has it. */
  put({ item, order, status, prompt, error = null, image_url: url = null }) {
    const known = this.byNumber.get(item);
    if (known) prompt ??= known.prompt; // events do not carry it
    const isOld = known && (known.order > order || (known.order === order && PLACES[known.status] >= PLACES[status]));
    if (isOld) {
      if (known.prompt !== prompt) this.byNumber.set(item, { ...known, prompt });
      return;
    }
    const before = known?.order === order ? known.error : null;
    this.byNumber.set(item, { item, order, status, prompt, error: error ?? before, isImage: url !== null });
  }

  /** Images 1 to `total`; of some nothing may be known yet. */
  list(total) {
    const most = Math.max(total ?? 0, ...this.byNumber.keys());
    return Array.from({ length: most }, (_, i) => this.byNumber.get(i + 1) ?? { item: i + 1, order: 0, status: "waiting" });
  }

  /** `{done, failed}`: how many have ended how. One that failed may still be ordered again. */
  counts() {
    let done = 0;
    let failed = 0;
    for (const { status } of this.byNumber.values()) {
      if (status === "stored") done += 1;
      else if (status === "failed" || status === "cancelled") failed += 1;
    }
    return { done, failed };
  }
}
