// Fields that hold several values: a list, and names with values.
import { html, useRef } from "../../dom.js";
import { newJob as text } from "../../strings-new.js";
import { placeholderOf } from "./fields.js";

/** A list. Texts of several words are written one a line. */
export function List({ field, raw, set, named, isLong }) {
  const items = raw ?? (Array.isArray(field.default) ? field.default.map(String) : []);
  const box = useRef(null);
  if (isLong || field.item.type === "text") {
    return html`<textarea class="field" rows=${isLong ? 4 : 2} ...${named} aria-labelledby=${`${named.id}-label`} value=${items.join("\n")}
        placeholder=${text.oneALine} spellcheck=${false}
        onInput=${({ target }) => set(target.value === "" ? emptied(field) : target.value.split("\n"))}></textarea>`;
  }
  const put = (at, value) => set(items.map((item, index) => (index === at ? value : item)));
  const without = (at) => set(items.length === 1 ? emptied(field) : items.filter((_, index) => index !== at));
  return html`<div class="form-items" role="group" aria-labelledby=${`${named.id}-label`} ref=${box}>
    ${items.map((item, at) => html`<span class="form-item" key=${at}>
      <${Item} field=${field.item} value=${item} set=${(value) => put(at, value)} label=${text.item(at + 1)} id=${at === 0 ? named.id : undefined} />
      <${Remove} label=${text.removeItem(at + 1)} onClick=${() => without(at)} />
    </span>`)}
    <button type="button" class="button button-small" id=${items.length === 0 ? named.id : undefined} disabled=${items.length >= (field.most ?? Infinity)}
      onClick=${() => set([...items, ""])}>${text.add}</button>
  </div>`;
}

const emptied = (field) => (field.hasDefault && field.default?.length > 0 ? [] : undefined);

/** Names with a value each; a value may be a list itself, written one a line. */
export function Pairs({ field, raw, set, named }) {
  const pairs = raw ?? [];
  const put = (at, pair) => set(pairs.map((old, index) => (index === at ? pair : old)));
  const without = (at) => set(pairs.length === 1 ? undefined : pairs.filter((_, index) => index !== at));
  return html`<div class="form-pairs" role="group" aria-labelledby=${`${named.id}-label`}>
    ${pairs.map(([name, value], at) => html`<div class="form-pair" key=${at}>
      <input class="field" type="text" value=${name} aria-label=${text.nameOf(at + 1)} placeholder=${text.name} id=${at === 0 ? named.id : undefined}
        autocomplete="off" spellcheck=${false} onInput=${({ target }) => put(at, [target.value, value])} />
      ${field.item.type === "list"
        ? html`<textarea class="field" rows="2" aria-label=${text.valueOf(at + 1)} placeholder=${text.oneALine} spellcheck=${false}
            value=${(Array.isArray(value) ? value : []).join("\n")} onInput=${({ target }) => put(at, [name, target.value.split("\n")])}></textarea>`
        : html`<${Item} field=${field.item} value=${value} set=${(next) => put(at, [name, next])} label=${text.valueOf(at + 1)} />`}
      <${Remove} label=${text.removeItem(at + 1)} onClick=${() => without(at)} />
    </div>`)}
    <button type="button" class="button button-small" id=${pairs.length === 0 ? named.id : undefined} disabled=${pairs.length >= (field.most ?? Infinity)}
      onClick=${() => set([...pairs, ["", field.item.type === "list" ? [] : ""]])}>${text.addValue}</button>
  </div>`;
}

const Item = ({ field, value, set, label, id }) => html`<input class="field" type="text" value=${value ?? ""} aria-label=${label} id=${id}
  placeholder=${placeholderOf(field) || text.value} autocomplete="off" spellcheck=${false} onInput=${({ target }) => set(target.value)} />`;

const Remove = ({ label, onClick }) => html`<button type="button" class="button button-small form-remove" aria-label=${label} onClick=${onClick}>×</button>`;
