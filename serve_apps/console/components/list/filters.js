// What the list is filtered by, how it is sorted, and which columns it has. Everything but the columns stands in the address.
import { html, useEffect, useRef, useState } from "../../dom.js";
import { STATUSES } from "../../joblist.js";
import { go, listHref } from "../../router.js";
import { strings } from "../../strings.js";
import { words } from "../../strings-jobs.js";
import { CHOICE, titleOf } from "./columns.js";

const text = strings.jobs;
const TYPING_MS = 250;
export const FILTERS = ["status", "name", "kind", "backend", "user", "tag", "parent", "sort"];
const FOLDED = ["kind", "backend", "user", "tag"]; // behind the button

/** The filters that an address names: all of them, "" where one is not set. */
export function filtersOf(params) {
  const filters = Object.fromEntries(FILTERS.map((name) => [name, params.get(name) ?? ""]));
  if (!(filters.status in STATUSES) || filters.status === "all") filters.status = "";
  if (!(filters.sort in words.sorts)) filters.sort = "";
  return filters;
}

export function StatusFilter({ filters }) {
  return html`<div class="segments" role="group" aria-label=${text.filter}>
    ${Object.keys(STATUSES).map((key) => {
      const status = key === "all" ? "" : key;
      return html`<button type="button" class="segment" key=${key} aria-pressed=${status === filters.status ? "true" : "false"}
        onClick=${() => go(listHref({ ...filters, status }))}>${text.filters[key]}</button>`;
    })}
  </div>`;
}

export function Search({ filters }) {
  const [typed, type] = useTyped(filters, "name");
  return html`<search class="search">
    <input class="field" type="search" value=${typed} onInput=${(event) => type(event.target.value)} placeholder=${text.search}
      aria-label=${text.search} autocomplete="off" spellcheck=${false} maxlength="255" data-search />
  </search>`;
}

/** The text of a field, and what to call as it is typed: the address follows a moment later. */
function useTyped(filters, name) {
  const [typed, setTyped] = useState(filters[name]);
  const timer = useRef(null);
  useEffect(() => setTyped(filters[name]), [filters[name]]); // the back button
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (value) => {
    setTyped(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => go(listHref({ ...filters, [name]: value.trim() }), { replace: true }), TYPING_MS);
  };
  return [typed, type];
}

export function More({ filters, known, hidden, onColumn, shortcuts, onShortcuts }) {
  const count = FOLDED.filter((name) => filters[name]).length;
  const set = (name) => (event) => go(listHref({ ...filters, [name]: event.target.value }));
  return html`<details class="list-more" open=${count > 0}>
    <summary class="button">${words.filters(count)}</summary>
    <div class="list-options">
      <label>${words.kind}<select class="field" value=${filters.kind} onChange=${set("kind")}>${options(strings.kinds)}</select></label>
      <label>${words.backend}<select class="field" value=${filters.backend} onChange=${set("backend")}>${options(strings.backends)}</select></label>
      <${Typed} filters=${filters} name="user" label=${words.owner} values=${known.users} />
      <${Typed} filters=${filters} name="tag" label=${words.tag} values=${known.tags} placeholder=${words.tagExample} />
      <label>${words.sort}<select class="field" value=${filters.sort || "-created_at"} onChange=${set("sort")}>
        ${Object.entries(words.sorts).map(([name, label]) => html`<option key=${name} value=${name}>${label}</option>`)}</select></label>
      <fieldset><legend>${words.columnChoice}</legend>
        ${CHOICE.map((name) => html`<label class="check" key=${name}><input type="checkbox" checked=${!hidden.includes(name)}
          onChange=${() => onColumn(name)} />${titleOf(name)}</label>`)}
      </fieldset>
      <div class="list-keys"><label class="check"><input type="checkbox" checked=${shortcuts} onChange=${(event) => onShortcuts(event.target.checked)} />
        ${words.shortcuts}</label><p class="muted">${words.keys}</p></div>
    </div>
  </details>`;
}

const options = (names) => [html`<option key="" value="">${words.any}</option>`,
  ...Object.entries(names).map(([name, label]) => html`<option key=${name} value=${name}>${label}</option>`)];

function Typed({ filters, name, label, values, placeholder }) {
  const [typed, type] = useTyped(filters, name);
  return html`<label>${label}<input class="field" value=${typed} onInput=${(event) => type(event.target.value)} list=${`known-${name}`}
      placeholder=${placeholder} autocomplete="off" spellcheck=${false} maxlength="255" />
    <datalist id=${`known-${name}`}>${values.map((value) => html`<option key=${value} value=${value}></option>`)}</datalist></label>`;
}
