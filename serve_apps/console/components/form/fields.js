// The fields of a form, made from what form/schema.js says of them.
import { html, useState } from "../../dom.js";
import { takesUpload } from "../../form/schema.js";
import { labels, long, main, newJob as text } from "../../strings-new.js";
import { List, Pairs } from "./lists.js";
import { FileField } from "./files.js";

export const labelOf = ({ name }) => labels[name] ?? capital(name.replaceAll("_", " "));

const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** The id of the element of a field, for labels and to lead the keyboard there. */
export const idOf = (path) => `field-${path.join("-")}`;

/** A group: what is required, what is most wanted, and the rest folded away. */
export function Group({ form, field, path = [] }) {
  const rank = (member) => (member.required ? -100 : 0) + (main.includes(member.name) ? main.indexOf(member.name) : 1000);
  const groups = field.fields.filter(({ type }) => type === "group");
  const own = field.fields.filter(({ type }) => type !== "group");
  const isFirst = (member) => member.required || main.includes(member.name);
  const first = own.filter(isFirst).sort((a, b) => rank(a) - rank(b));
  const rest = own.filter((member) => !isFirst(member));
  const show = (member) => html`<${Field} key=${member.name} form=${form} field=${member} path=${[...path, member.name]} />`;
  return html`
    ${first.length > 0 && html`<div class="form-grid">${first.map(show)}</div>`}
    ${rest.length > 0 && html`<${Folded} form=${form} path=${path} heading=${path.length === 0 ? text.general : text.more} fields=${rest}>
      <div class="form-grid">${rest.map(show)}</div><//>`}
    ${groups.map((member) => html`<${Folded} key=${member.name} form=${form} path=${[...path, member.name]} heading=${labelOf(member)} fields=${[member]}>
      <${Members} form=${form} field=${member} path=${[...path, member.name]} /><//>`)}
  `;
}

/** All members of an inner group, none of them folded. */
function Members({ form, field, path }) {
  const own = field.fields.filter(({ type }) => type !== "group");
  const groups = field.fields.filter(({ type }) => type === "group");
  return html`<div class="form-grid">
      ${own.map((member) => html`<${Field} key=${member.name} form=${form} field=${member} path=${[...path, member.name]} />`)}
    </div>
    ${groups.map((member) => html`<fieldset class="form-inner" key=${member.name}><legend>${labelOf(member)}</legend>
      <${Members} form=${form} field=${member} path=${[...path, member.name]} /></fieldset>`)}`;
}

/** Folded away until it is wanted, or something in it is wrong. */
function Folded({ form, path, heading, fields, children }) {
  const [isOpen, setOpen] = useState(false);
  const isGroup = fields.length === 1 && fields[0].type === "group";
  const wrong = fields.some(({ name }) => form.problemAt(isGroup ? path : [...path, name], { inside: true }) ||
    [...form.refused.keys()].some((key) => key.startsWith(isGroup ? `${path.join(".")}.` : [...path, name].join("."))));
  const raw = form.get(path);
  const changed = isGroup ? countOf(raw) : fields.filter(({ name }) => raw?.[name] !== undefined).length;
  return html`<details class="form-more panel" open=${isOpen || wrong} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary><span>${heading}</span>${changed > 0 && html`<small class="muted">${text.changed(changed)}</small>`}</summary>
    ${(isOpen || wrong) && html`<div class="form-more-body">${children}</div>`}
  </details>`;
}

const countOf = (raw) => Object.values(raw ?? {}).filter((value) => value !== undefined).length;

/** One field with its label, its help and what is wrong with it. */
export function Field({ form, field, path }) {
  const id = idOf(path);
  const problem = form.problemAt(path, { inside: field.type === "list" || field.type === "map" });
  const isWide = field.type === "list" || field.type === "map" || takesUpload(field) || long.has(field.name);
  const about = [problem && `${id}-problem`, `${id}-help`].filter(Boolean).join(" ");
  const named = { id, "aria-describedby": about, "aria-invalid": problem ? "true" : undefined, "aria-required": field.required ? "true" : undefined };
  const isGroup = field.type === "list" || field.type === "map";
  const label = html`${labelOf(field)}${field.required && html`<small class="form-required"> ${text.required}</small>`}`;
  return html`<div class=${`form-field ${isWide ? "form-wide" : ""} ${problem ? "form-wrong" : ""}`}
      onFocusOut=${(event) => !event.currentTarget.contains(event.relatedTarget) && form.touch(path)}>
    ${isGroup ? html`<span class="form-label" id=${`${id}-label`}>${label}</span>` : html`<label class="form-label" for=${id}>${label}</label>`}
    <${Input} form=${form} field=${field} path=${path} named=${named} />
    ${problem && html`<p class="form-problem" id=${`${id}-problem`}>${problem.told ?? text.problems[problem.code](problem)}</p>`}
    <p class="form-help" id=${`${id}-help`}>${marked(helpOf(field))}</p>
  </div>`;
}

function Input({ form, field, path, named }) {
  const raw = form.get(path);
  const set = (value) => form.set(path, value);
  if (takesUpload(field)) return html`<${FileField} form=${form} field=${field} path=${path} named=${named} />`;
  switch (field.type) {
    case "switch":
    case "choice":
      return html`<${Choice} field=${field} raw=${raw} set=${set} named=${named} />`;
    case "list":
      return html`<${List} field=${field} raw=${raw} set=${set} named=${named} isLong=${long.has(field.name)} />`;
    case "map":
      return html`<${Pairs} field=${field} raw=${raw} set=${set} named=${named} />`;
    default:
      return html`<${Text} field=${field} raw=${raw} set=${set} named=${named} suggestions=${form.suggestions(field)} />`;
  }
}

/** Yes or no, or one of several; left as it is where it has a default. */
function Choice({ field, raw, set, named }) {
  const isSwitch = field.type === "switch";
  const values = isSwitch ? [true, false] : field.options;
  const word = (value) => (isSwitch ? (value ? text.yes : text.no) : String(value));
  const first = field.hasDefault ? (field.default === null ? text.unset : text.default(word(field.default))) : text.choose;
  if (isSwitch && field.hasDefault && field.default !== null) {
    const value = raw ?? field.default;
    return html`<label class="form-switch"><input type="checkbox" ...${named} checked=${value}
      onChange=${(event) => set(event.target.checked === field.default ? undefined : event.target.checked)} />
      <span aria-hidden="true">${word(value)}</span></label>`;
  }
  const at = values.indexOf(raw);
  return html`<select class="field" ...${named} value=${at < 0 ? "" : String(at)}
    onChange=${(event) => set(event.target.value === "" ? undefined : values[Number(event.target.value)])}>
    <option value="">${first}</option>
    ${values.map((value, index) => html`<option key=${index} value=${String(index)}>${word(value)}</option>`)}
  </select>`;
}

function Text({ field, raw, set, named, suggestions }) {
  const isOff = raw === null;
  const offers = suggestions ?? field.words?.map((value) => ({ value })) ?? [];
  const list = offers.length > 0 ? `${named.id}-list` : undefined;
  const placeholder = placeholderOf(field);
  const common = { ...named, value: isOff ? "" : (raw ?? ""), disabled: isOff, placeholder, onInput: ({ target }) => set(target.value === "" ? undefined : target.value) };
  const input = long.has(field.name)
    ? html`<textarea class="field" rows="3" ...${common}></textarea>`
    : html`<input class="field" type="text" ...${common} list=${list} autocomplete="off" spellcheck=${false}
        inputmode=${field.type === "number" && field.words.length === 0 ? (field.isInteger ? "numeric" : "decimal") : undefined} />`;
  // Only where "none" is something else than what happens anyway.
  const canBeOff = field.nullable && field.hasDefault && field.default !== null;
  return html`<div class="form-row">${input}
    ${canBeOff && html`<label class="check"><input type="checkbox" checked=${isOff} onChange=${({ target }) => set(target.checked ? null : undefined)} />${text.off}</label>`}
    ${list && html`<datalist id=${list}>${offers.map(({ value, label }) => html`<option key=${value} value=${value}>${label}</option>`)}</datalist>`}
  </div>`;
}

export function placeholderOf(field) {
  if (!field.hasDefault || field.default === null || field.default === "") return "";
  return typeof field.default === "object" ? "" : String(field.default);
}

/** What stands in backticks as code. */
export const marked = (words) => words.split("`").map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : part));

function helpOf(field) {
  const range = field.type === "number" ? text.range(field) : "";
  const isJson = field.type === "json" || (field.type === "map" && field.item.type === "json");
  return [field.help, range && `${capital(range)}.`, isJson && text.json].filter(Boolean).join(" ");
}
