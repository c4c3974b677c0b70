// Where rows of different heights stand, when most of them were never measured: a Fenwick tree over their heights, so
// that setting one, the offset of one, and the row at an offset each take log(n) steps. Pure.

export class Heights {
  /** `guess`: px of a row that was not measured. */
  constructor(guess) {
    this.guess = guess;
    this.count = 0;
    this.known = new Map(); // number -> measured px
    this.tree = new Float64Array(1024); // of the differences from the guess; 1-based
  }

  get total() {
    return this.offset(this.count);
  }

  /** There are `count` rows now; the new ones are not measured. */
  grow(count) {
    if (count < this.count) {
      this.known.clear();
      this.tree.fill(0);
    }
    this.count = count;
    if (count < this.tree.length) return;
    const known = [...this.known];
    this.tree = new Float64Array(2 ** Math.ceil(Math.log2(count + 2)));
    for (const [number, px] of known) this.#add(number, px - this.guess);
  }

  set(number, px) {
    const before = this.known.get(number) ?? this.guess;
    if (before === px) return;
    this.known.set(number, px);
    this.#add(number, px - before);
  }

  /** px above row `number`. */
  offset(number) {
    let sum = number * this.guess;
    for (let i = Math.min(number, this.tree.length - 1); i > 0; i -= i & -i) sum += this.tree[i];
    return sum;
  }

  /** The row at `px`. */
  at(px) {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.offset(middle) <= px) low = middle;
      else high = middle - 1;
    }
    return Math.min(low, Math.max(0, this.count - 1));
  }

  #add(number, px) {
    for (let i = number + 1; i < this.tree.length; i += i & -i) this.tree[i] += px;
  }
}
