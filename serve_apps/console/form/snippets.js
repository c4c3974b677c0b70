// The filled-in form as a command that can be pasted: curl, Python, the command line. Pure.

export const SNIPPETS = {
  curl: (url, body) =>
    `curl -X POST ${quoted(new URL("api/v1/training/jobs", url).href)} \\\n` +
    `  -H 'Content-Type: application/json' \\\n  --data-binary ${quoted(JSON.stringify(body, null, 2))}`,

  python: (url, body) =>
    "from thornback.client import Client\n\n" +
    `with Client(${python(base(url))}) as client:\n    job = client.submit_spec(\n` +
    `        ${python(body).replaceAll("\n", "\n        ")}\n    )\n    print(job.id)`,

  cli: (url, body) =>
    `printf '%s' ${quoted(JSON.stringify(body, null, 2))} |\n  thornback submit /dev/stdin --url ${quoted(base(url))}`,
};

const base = (url) => new URL(".", url).href.replace(/\/$/, "");

/** For a POSIX shell. */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** A JSON value as Python writes it. */
function python(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value); // 1e-7 and 0.1 are the same there
  if (typeof value === "string") return pythonText(value);
  const items = Array.isArray(value)
    ? value.map(python)
    : Object.entries(value).map(([name, item]) => `${pythonText(name)}: ${python(item)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (items.length === 0) return open + close;
  return `${open}\n${items.map((item) => `    ${item.replaceAll("\n", "\n    ")},`).join("\n")}\n${close}`;
}

// JSON's escapes are Python's too.
const pythonText = (text) => JSON.stringify(text);
