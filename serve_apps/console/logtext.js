// A printed line as a terminal would show it in the end. Pure.

// Terminal colours, cursor moves, window titles and other strings for the terminal, with ESC or its one-byte forms.
const ESCAPES = /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]?/g;
// What would move the text about or hide a part of it: controls but for the tab, and turns of the writing direction.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** No escapes, only what follows the last carriage return (progress bars draw over themselves). */
export function cleanLine(line) {
  const plain = line.replace(ESCAPES, "").replace(/\r+$/, "");
  return plain.slice(plain.lastIndexOf("\r") + 1).replace(UNSEEN, "\ufffd");
}
