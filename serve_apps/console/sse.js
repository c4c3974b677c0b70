// The text of a Server-Sent Events stream -> messages. Pure; knows no network.
// EventSource is not used because it can neither send a cursor with its first request nor say
// when the next attempt comes, and it takes a silent line for a living one.

export class SseParser {
  #rest = "";
  #data = [];
  #event = "";
  #id = null;
  #skipLineFeed = false;

  /** Feed decoded text; returns the messages that it completed, `{id, event, data}` each. */
  push(text) {
    const messages = [];
    // A CR at the end of one chunk and an LF at the start of the next are one line end.
    if (this.#skipLineFeed && text.startsWith("\n")) text = text.slice(1);
    this.#skipLineFeed = text === "" ? this.#skipLineFeed : text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop();
    for (const line of lines) this.#line(line, messages);
    return messages;
  }

  #line(line, messages) {
    if (line === "") {
      if (this.#data.length > 0) {
        messages.push({ id: this.#id, event: this.#event || "message", data: this.#data.join("\n") });
      }
      this.#data = [];
      this.#event = "";
      this.#id = null;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment: the heartbeat
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id") this.#id = value;
  }
}
