// The lines of a log that are in sight.
import { html, useLayoutEffect, useRef } from "../../dom.js";
import { clockTime, dateTime } from "../../format.js";
import { words } from "../../strings-log.js";

/** `top`: px of the first line in the whole. `onDrawn(first, heights)` is told how high each one is. */
export function Lines({ lines, range: [first, end], top, isMatch, current, ranks, onDrawn }) {
  const box = useRef(null);
  const widest = useRef(0);
  useLayoutEffect(() => {
    // So that scrolling down does not change how far one can scroll to the right.
    const { offsetWidth } = box.current;
    if (offsetWidth > widest.current) {
      widest.current = offsetWidth;
      if (!box.current.closest(".log-wrap")) box.current.style.minWidth = `${offsetWidth}px`;
    }
    if (box.current.closest(".log-wrap")) {
      box.current.style.minWidth = "";
      onDrawn(first, [...box.current.children].map((child) => child.getBoundingClientRect().height));
    }
  });
  const drawn = [];
  for (let number = first; number < end; number += 1) drawn.push(line(number, lines.row(number), lines.row(number - 1), ranks, isMatch(number), number === current));
  return html`<div class="log-lines" ref=${box} style=${{ transform: `translateY(${top}px)` }}>${drawn}</div>`;
}

function line(number, row, before, ranks, isMatch, isCurrent) {
  if (row === null) return html`<div class="log-row" key=${number}><span class="log-time">${words.loading}</span></div>`;
  const mark = isCurrent ? " log-current" : isMatch ? " log-match" : "";
  const isNew = before !== null && before.attempt !== row.attempt;
  return html`<div class=${`log-row${mark}`} key=${number}>
    <time class="log-time" datetime=${row.at} title=${dateTime(row.at)}>${clock(row.at)}</time>
    ${ranks && html`<span class="log-rank">${row.rank < 0 ? words.driver : words.rank(row.rank)}</span>`}
    ${isNew && html`<span class="log-attempt">${words.attempt(row.attempt)}</span>`}
    <span class="log-text">${row.text}</span>
  </div>`;
}

// Many lines have one time, and telling a time in words is slow.
let told = [null, ""];
function clock(at) {
  if (told[0] !== at) told = [at, clockTime(at)];
  return told[1];
}
