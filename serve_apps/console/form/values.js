// What stands in a form <-> what is sent. Pure.
//
// A form holds raw values: the text of a number as it was typed, pairs for a map, null for "none", and nothing
// at all where a field was left as it is. What is left as it is, is not sent: the server has the defaults.

/** What is sent of `raw`, undefined where nothing is. Problems are pushed to `problems` as `{path, code, …}`. */
export function read(field, raw, path = [], problems = []) {
  const told = problems.length;
  const value = raw === null && field.nullable ? null : READERS[field.type](field, raw, path, problems);
  if (value === undefined && field.required && problems.length === told && field.type !== "group") {
    problems.push({ path, code: "required" });
  }
  return value;
}

/** A whole form: `{body, problems}`. */
export function readForm(root, raw) {
  const problems = [];
  return { body: read(root, raw, [], problems) ?? {}, problems };
}

const isBlank = (raw) => raw === undefined || raw === null || raw === "";

const READERS = {
  text(field, raw, path, problems) {
    if (isBlank(raw)) return undefined;
    const { length } = [...raw]; // code points, as the server counts them
    if (length < (field.least ?? 0)) problems.push({ path, code: "short", least: field.least });
    else if (length > (field.most ?? Infinity)) problems.push({ path, code: "long", most: field.most });
    else if (field.pattern && !matches(field.pattern, raw)) problems.push({ path, code: "pattern", pattern: field.pattern });
    return raw;
  },

  number(field, raw, path, problems) {
    if (isBlank(raw)) return undefined;
    const text = String(raw).trim();
    if (text === "") return undefined;
    if (field.words.includes(text)) return text;
    const value = Number(text);
    if (!Number.isFinite(value)) problems.push({ path, code: field.words.length > 0 ? "numberOr" : "number", words: field.words });
    else if (field.isInteger && !Number.isSafeInteger(value)) problems.push({ path, code: "integer" });
    else if (isOutside(field, value)) problems.push({ path, code: "range", field });
    return value;
  },

  switch: (_, raw) => (typeof raw === "boolean" ? raw : undefined),

  choice(field, raw, path, problems) {
    if (isBlank(raw)) return undefined;
    if (!field.options.includes(raw)) problems.push({ path, code: "choice", options: field.options });
    return raw;
  },

  list(field, raw, path, problems) {
    if (!Array.isArray(raw)) return undefined;
    const items = raw.map((item, at) => read({ ...field.item, required: false }, item, [...path, at], problems));
    const value = items.filter((item) => item !== undefined);
    if (value.length === 0 && !field.required && !(field.hasDefault && field.default?.length > 0)) return undefined;
    if (value.length < (field.least ?? 0)) problems.push({ path, code: "few", least: field.least });
    else if (value.length > (field.most ?? Infinity)) problems.push({ path, code: "many", most: field.most });
    return value;
  },

  map(field, raw, path, problems) {
    if (!Array.isArray(raw)) return undefined;
    const value = {};
    for (const [at, [name, item]] of raw.entries()) {
      if (isBlank(name) && isBlank(item)) continue;
      const told = problems.length;
      const found = read({ ...field.item, required: false }, item, [...path, at], problems);
      if (problems.length > told) continue;
      if (isBlank(name)) problems.push({ path: [...path, at], code: "unnamed" });
      else if (Object.hasOwn(value, name)) problems.push({ path: [...path, at], code: "twice", name });
      // A name without a value: an empty text is one, everything else is still to come.
      else if (found === undefined && field.item.type !== "text") problems.push({ path: [...path, at], code: "required" });
      else Object.defineProperty(value, name, { value: found === undefined ? "" : found, enumerable: true });
    }
    const size = Object.keys(value).length;
    if (size > (field.most ?? Infinity)) problems.push({ path, code: "many", most: field.most });
    return size > 0 ? value : undefined;
  },

  group(field, raw, path, problems) {
    const value = {};
    for (const member of field.fields) {
      const found = read(member, raw?.[member.name], [...path, member.name], problems);
      if (found !== undefined) value[member.name] = found;
    }
    return Object.keys(value).length > 0 || field.required ? value : undefined;
  },

  json(_, raw, path, problems) {
    if (isBlank(raw)) return undefined;
    try {
      return JSON.parse(raw);
    } catch {
      // A word without quotes is what most people mean by it.
      if (!/^[\s"[{]/.test(raw)) return raw;
      problems.push({ path, code: "json" });
      return undefined;
    }
  },
};

function isOutside({ min, max, above, below }, value) {
  return value < (min ?? -Infinity) || value > (max ?? Infinity) || value <= (above ?? -Infinity) || value >= (below ?? Infinity);
}

function matches(pattern, text) {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return true; // a pattern of another dialect: the server decides
  }
}

/** What stands in the form for a value that was sent before; undefined for what is the default. */
export function rawOf(field, value) {
  if (value === undefined || (field.hasDefault && same(value, field.default))) return undefined;
  if (value === null && field.type !== "json") return field.nullable ? null : undefined;
  switch (field.type) {
    case "number":
      return String(value);
    case "json":
      return typeof value === "string" && !isJson(value) ? value : JSON.stringify(value);
    case "list":
      return Array.isArray(value) ? value.map((item) => rawOf(field.item, item) ?? "") : undefined;
    case "map":
      return Object.entries(value).map(([name, item]) => [name, rawOf(field.item, item) ?? ""]);
    case "group": {
      const members = field.fields.map((member) => [member.name, rawOf(member, value[member.name])]);
      return Object.fromEntries(members.filter(([, raw]) => raw !== undefined));
    }
    default:
      return value;
  }
}

// What JSON.parse would take for something else than this text.
function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return /^[\s"[{]/.test(text);
  }
}

/** True for two JSON values that say the same. */
export function same(a, b) {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const names = Object.keys(a);
  return (
    Array.isArray(a) === Array.isArray(b) &&
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && same(a[name], b[name]))
  );
}

/** The raw values with another one at `path`; undefined takes it away. What else there is, is shared. */
export function withRaw(raw, [name, ...rest], value) {
  const next = Array.isArray(raw) ? [...raw] : { ...raw };
  if (rest.length > 0) next[name] = withRaw(raw?.[name] ?? {}, rest, value);
  else if (value === undefined) delete next[name];
  else next[name] = value;
  return next;
}

/** Sort the server's complaints `{field: "config.epochs", message}` by the path of the field they belong to: the
 *  longest one that the form has. `""` collects what belongs to no field. */
export function complaints(root, errors) {
  const found = new Map();
  for (const { field, message } of errors) {
    const path = [];
    let at = root;
    for (const name of String(field).split(".")) {
      const next = at?.fields?.find((member) => member.name === name);
      if (!next) break;
      path.push(name);
      at = next;
    }
    const key = path.join(".");
    const rest = String(field).slice(key && key.length + 1);
    const place = at.type === "list" || at.type === "map" ? /^(\d+)/.exec(rest)?.[1] : null;
    const told = place ? `${Number(place) + 1}: ${message}` : message;
    found.set(key, found.has(key) ? `${found.get(key)}; ${told}` : told);
  }
  return found;
}
