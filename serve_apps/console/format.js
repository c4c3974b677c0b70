// Numbers, times and sizes as people read them. Pure: the present is passed in.
// Nothing here turns an absent value into a 0; it becomes a dash.

import { locale } from "./language.js";

export const ABSENT = "–";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** Four significant digits; very small and very large ones in exponent form. */
export function number(value, digits = 4) {
  if (!isNumber(value)) return ABSENT;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return exponent(value, digits - 1);
  if (Number.isInteger(value)) return value.toLocaleString(locale);
  return value.toLocaleString(locale, { maximumSignificantDigits: digits });
}

/** A value that lives in powers of ten, such as a learning rate. */
export function exponent(value, digits = 3) {
  if (!isNumber(value)) return ABSENT;
  if (value === 0) return "0";
  return value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e");
}

/** A share of 1 as percent. */
export function share(value, digits = 1) {
  return isNumber(value) ? `${(value * 100).toFixed(digits)} %` : ABSENT;
}

/** A percentage of 0 to 100. Rounds down, so that 100 % means done. */
export function percent(value) {
  return isNumber(value) ? `${Math.floor(value)} %` : ABSENT;
}

/** A span of time in its two largest units: "3 d 4 h", "2 min 10 s". */
export function duration(ms) {
  if (!isNumber(ms)) return ABSENT;
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return joined(minutes, "min", seconds % 60, "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return joined(hours, "h", minutes % 60, "min");
  return joined(Math.floor(hours / 24), "d", hours % 24, "h");
}

const joined = (large, unit, small, smallUnit) =>
  small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smallUnit}`;

/** The age of something in its largest unit: "12 s", "5 min", "3 h", "9 d". */
export function age(ms) {
  if (!isNumber(ms)) return ABSENT;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** An amount in US dollars; "" where it is not known. */
export const dollars = (value) => (isNumber(value) ? `$${value.toFixed(value < 1 ? 3 : 2)}` : "");

/** Bytes in decimal units, as disks and downloads are sold. */
export function bytes(value) {
  if (!isNumber(value)) return ABSENT;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size.toLocaleString(locale, { maximumSignificantDigits: 3 })} ${units[unit]}`;
}

let longTime = null;

/** An ISO time in the viewer's zone, with the zone named. */
export function dateTime(iso) {
  const at = Date.parse(iso);
  if (Number.isNaN(at)) return ABSENT;
  longTime ??= new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "long" }); // half a millisecond to make
  return longTime.format(at);
}

/** The same, short: for tables. */
export function shortTime(iso) {
  const at = Date.parse(iso);
  return Number.isNaN(at) ? ABSENT : new Date(at).toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" });
}

/** The clock time of an ISO time in the viewer's zone. */
export function clockTime(iso) {
  const at = Date.parse(iso);
  return Number.isNaN(at) ? ABSENT : new Date(at).toLocaleTimeString(locale, { hour12: false });
}

/** ms since an ISO time; NaN where there is none. */
export function since(iso, now) {
  return iso ? now - Date.parse(iso) : Number.NaN;
}
