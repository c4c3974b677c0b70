// Several files as one ZIP, made in the browser without a copy in memory: a Blob of headers and of the files
// themselves, stored as they are. The same files make the same bytes, so an upload can be gone on with.
const PICTURE = /\.(jpe?g|png|webp|gif|bmp|tiff?|avif)$/i;
const CAPTION = /\.txt$/i;
const MOST_BYTES = 0xffff_ffff; // of a ZIP without its 64-bit extension
const MOST_FILES = 0xffff;
const DATE = 0x0021; // 1980-01-01

/** What to send for the chosen files: one as it is, several pictures with their captions as a ZIP.
 *  Throws an Error with a `code` where that cannot be. */
export async function packed(files, onProgress = () => {}) {
  const named = files.map((file) => ({ file, name: file.webkitRelativePath || file.name })).filter(({ name }) => !isHidden(name));
  const [first] = named;
  if (!first) throw problem("nothing");
  if (named.length === 1 && !PICTURE.test(first.name)) return first.file;
  const fit = named.filter(({ name }) => PICTURE.test(name) || CAPTION.test(name));
  if (fit.length < named.length) throw problem("mixed", named.find((item) => !fit.includes(item)).name);
  if (!fit.some(({ name }) => PICTURE.test(name))) throw problem("noPicture");
  const blob = await zip(fit, onProgress);
  const pictures = fit.filter(({ name }) => PICTURE.test(name)).length;
  return new File([blob], `${pictures}-pictures.zip`, { type: "application/zip", lastModified: 0 });
}

/** What tells these files from others when they are chosen again. */
export function fingerprint(files) {
  const lines = files.map(({ name, webkitRelativePath, size, lastModified }) => [webkitRelativePath || name, size, lastModified].join("\t"));
  return lines.sort().join("\n");
}

const isHidden = (name) => name.split("/").some((part) => part.startsWith(".") || part === "__MACOSX" || part === "Thumbs.db");

const problem = (code, name = null) => Object.assign(new Error(code), { code, name });

async function zip(named, onProgress) {
  const sorted = [...named].sort((a, b) => (a.name < b.name ? -1 : 1));
  const total = sorted.reduce((sum, { file, name }) => sum + file.size + 200 + 2 * name.length, 0);
  if (total > MOST_BYTES || sorted.length > MOST_FILES) throw problem("large");
  const parts = [];
  const central = [];
  let offset = 0;
  let read = 0;
  for (const { file, name } of sorted) {
    const crc = await crcOf(file, (bytes) => onProgress((read += bytes), total));
    const bytes = new TextEncoder().encode(name);
    const local = record(0x04034b50, crc, file.size, bytes);
    parts.push(local, file);
    central.push(record(0x02014b50, crc, file.size, bytes, offset));
    offset += local.byteLength + file.size;
  }
  const size = central.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return new Blob([...parts, ...central, end(central.length, size, offset)]);
}

/** A local header, or with `offset` the entry of the table of contents. */
function record(signature, crc, size, name, offset = null) {
  const isCentral = offset !== null;
  const view = new DataView(new ArrayBuffer((isCentral ? 46 : 30) + name.length));
  let at = 0;
  const put = (value, bytes) => {
    if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += bytes;
  };
  put(signature, 4);
  if (isCentral) put(20, 2); // made by
  put(20, 2); // needs version 2.0
  put(0x0800, 2); // the name is UTF-8
  put(0, 2); // stored
  put(0, 2);
  put(DATE, 2);
  put(crc, 4);
  put(size, 4);
  put(size, 4);
  put(name.length, 2);
  put(0, 2);
  if (isCentral) {
    put(0, 2);
    put(0, 2);
    put(0, 2);
    put(0, 4);
    put(offset, 4);
  }
  new Uint8Array(view.buffer).set(name, at);
  return view.buffer;
}

function end(count, size, offset) {
  const view = new DataView(new ArrayBuffer(22));
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, count, true);
  view.setUint16(10, count, true);
  view.setUint32(12, size, true);
  view.setUint32(16, offset, true);
  return view.buffer;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

async function crcOf(file, onBytes) {
  let crc = 0xffffffff;
  const reader = file.stream().getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return (crc ^ 0xffffffff) >>> 0;
    for (let at = 0; at < value.length; at += 1) crc = TABLE[(crc ^ value[at]) & 0xff] ^ (crc >>> 8);
    onBytes(value.length);
  }
}
