// JSON Schema, as pydantic writes it -> fields of a form. Pure; it knows no kind of job.
//
// A field is `{name, type, help, required, default, hasDefault, nullable, …limits}`. Its type is one of
// text, number (`isInteger`, `words`: what may stand instead), switch, choice (`options`), list (`item`), map
// (`item`: of each value), group (`fields`), or json for what fits none of these.

/** The fields of a specification: a group; members whose value is given elsewhere are left out. */
export function fieldsOf(spec, { without = [] } = {}) {
  const root = groupOf(spec, spec.$defs ?? {});
  return { ...root, name: "", required: true, fields: root.fields.filter(({ name }) => !without.includes(name)) };
}

function groupOf(schema, defs) {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(([name, member]) => {
    const field = fieldOf(name, member, defs);
    return { ...field, required: required.has(name) };
  });
  return { type: "group", fields };
}

function fieldOf(name, written, defs) {
  const schema = resolved(written, defs);
  const { nullable, shape } = shapeOf(schema, defs);
  const hasDefault = "default" in schema;
  return { name, help: schema.description ?? "", nullable, hasDefault, default: schema.default, ...shape };
}

/** Follow a reference; what stands beside it wins. */
function resolved(schema, defs) {
  const only = schema.allOf?.length === 1 ? schema.allOf[0] : null;
  const target = schema.$ref ? defs[schema.$ref.split("/").pop()] : only;
  if (!target) return schema;
  const { $ref, allOf, ...own } = schema;
  const { description, ...found } = resolved(target, defs);
  return { ...found, ...own }; // a class describes itself, not the field
}

function shapeOf(schema, defs) {
  const variants = (schema.anyOf ?? schema.oneOf ?? [schema]).map((variant) => resolved(variant, defs));
  const real = variants.filter(({ type }) => type !== "null");
  return { nullable: real.length < variants.length, shape: real.length === 1 ? single(real[0], defs) : united(real, defs) };
}

function united(variants, defs) {
  const words = variants.flatMap((variant) => optionsOf(variant) ?? []);
  const rest = variants.filter((variant) => !optionsOf(variant));
  if (rest.length === 0) return { type: "choice", options: words };
  const shapes = rest.map((variant) => single(variant, defs));
  const numbers = shapes.filter(({ type }) => type === "number");
  if (numbers.length === shapes.length) {
    return { ...(numbers.find(({ isInteger }) => !isInteger) ?? numbers[0]), words };
  }
  return { type: "json" };
}

const optionsOf = (schema) => schema.enum ?? ("const" in schema ? [schema.const] : null);

function single(schema, defs) {
  const options = optionsOf(schema);
  if (options) return { type: "choice", options };
  switch (schema.type) {
    case "string":
      return { type: "text", least: schema.minLength, most: schema.maxLength, pattern: schema.pattern };
    case "integer":
    case "number":
      return {
        type: "number",
        isInteger: schema.type === "integer",
        words: [],
        min: schema.minimum,
        max: schema.maximum,
        above: schema.exclusiveMinimum,
        below: schema.exclusiveMaximum,
      };
    case "boolean":
      return { type: "switch" };
    case "array":
      return { type: "list", item: fieldOf("", schema.items ?? {}, defs), least: schema.minItems, most: schema.maxItems };
    case "object":
      return objectOf(schema, defs);
    default:
      return { type: "json" };
  }
}

function objectOf(schema, defs) {
  if (schema.properties) return groupOf(schema, defs);
  const { additionalProperties: values } = schema;
  if (values === false) return { type: "group", fields: [] };
  const item = values && values !== true ? fieldOf("", values, defs) : { name: "", type: "json", help: "" };
  return { type: "map", item, most: schema.maxProperties };
}

/** True for a field that takes `upload:<id>`: the specification says so itself. */
export const takesUpload = (field) => field.type === "text" && field.help.includes("upload:<id>");

/** The field at a path of names; null where there is none. */
export function fieldAt(field, path) {
  return path.reduce((at, name) => at?.fields?.find((member) => member.name === name) ?? null, field);
}
