// Which columns the list has, and how wide they are. What somebody chose is kept in the browser.
import { useState } from "../../dom.js";
import { strings } from "../../strings.js";
import { words } from "../../strings-jobs.js";

const KEPT = "thornback.columns";
const WIDTHS = {
  select: "22px",
  status: "112px",
  name: "minmax(150px, 1.3fr)",
  backend: "84px",
  progress: "minmax(160px, 1.2fr)",
  loss: "minmax(186px, 0.9fr)",
  cost: "84px",
  owner: "84px",
  age: "104px",
};
const ALWAYS = ["select", "status", "name"];
export const CHOICE = ["backend", "progress", "loss", "cost", "owner", "age"];
export const titleOf = (name) => words.columns[name] ?? strings.jobs.columns[name];

export const template = (shown) => shown.map((name) => WIDTHS[name]).join(" ");

/** `[columns in order, hidden, toggle(name)]`. */
export function useColumns() {
  const [hidden, setHidden] = useState(read);
  const toggle = (name) => {
    const next = hidden.includes(name) ? hidden.filter((other) => other !== name) : [...hidden, name];
    keep(KEPT, next.join());
    setHidden(next);
  };
  return [[...ALWAYS, ...CHOICE.filter((name) => !hidden.includes(name))], hidden, toggle];
}

const read = () => (recall(KEPT) ?? "").split(",").filter((name) => CHOICE.includes(name));

/** What was kept under a name; null where the browser keeps nothing for us. */
export function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // not allowed here; the choice holds as long as the page
  }
}
