// The lines of one job's log that the page holds, in the order of their events. Pure.
// Rows are kept in blocks; a block that is full never changes again, so it is never drawn again.

const ROWS_PER_BLOCK = 100;
// Above this the oldest blocks go; the whole log is one download away.
const MOST_LINES = 50_000;

// Terminal colours, cursor moves and window titles.
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;

/** A printed line as a terminal would show it in the end: no escapes, only what follows the last
 *  carriage return (progress bars draw over themselves). */
export function cleanLine(line) {
  const plain = line.replace(ESCAPES, "").replace(/\r+$/, "");
  return plain.slice(plain.lastIndexOf("\r") + 1);
}

export class LogBuffer {
  constructor() {
    this.version = 0;
    this.nextBlock = 0;
    this.clear();
  }

  /** Forget every line. */
  clear() {
    this.blocks = []; // {id, rows: [{id, at, rank, attempt, count, text, isNewAttempt}]}
    this.lineCount = 0;
    this.dropped = 0; // lines let go at the old end
    this.newest = 0; // event id of the last row
    this.severalRanks = false;
    this.last = null; // the last row
    this.version += 1;
  }

  /** Append chunks `{id, at, rank, attempt, lines}` in order; those that are not newer than the
   *  newest are known already. */
  append(chunks) {
    for (const chunk of chunks) {
      if (chunk.id <= this.newest) continue;
      this.#push(this.#row(chunk));
      this.lineCount += chunk.lines.length;
      this.version += 1;
    }
    this.#trim();
  }

  /** Put `chunks`, which reach further back, in the place of what is held; newer rows stay. */
  extend(chunks) {
    const rows = this.blocks.flatMap((block) => block.rows);
    this.clear();
    this.append(chunks);
    for (const row of rows) {
      if (row.id <= this.newest) continue;
      this.#push(row);
      this.lineCount += row.count;
    }
  }

  #row({ id, at, rank, attempt, lines }) {
    return { id, at, rank, attempt, count: lines.length, text: lines.map(cleanLine).join("\n") };
  }

  #push(row) {
    row.isNewAttempt = this.last !== null && row.attempt !== this.last.attempt;
    this.severalRanks ||= this.last !== null && row.rank !== this.last.rank;
    const block = this.blocks.at(-1);
    if (block && block.rows.length < ROWS_PER_BLOCK) {
      this.blocks[this.blocks.length - 1] = { id: block.id, rows: [...block.rows, row] };
    } else {
      this.blocks.push({ id: (this.nextBlock += 1), rows: [row] });
    }
    this.newest = row.id;
    this.last = row;
  }

  #trim() {
    while (this.lineCount > MOST_LINES && this.blocks.length > 1) {
      const lines = this.blocks.shift().rows.reduce((sum, row) => sum + row.count, 0);
      this.lineCount -= lines;
      this.dropped += lines;
    }
  }
}
