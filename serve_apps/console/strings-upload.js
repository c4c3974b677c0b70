// The words of the upload of files; they are fetched with the form.
import { localize } from "./language.js";

export const upload = {
  drop: "Drop files here, or",
  choose: "choose files",
  dropNow: "Drop them",
  or: "or an address",
  hints: {
    video: "An MP4, MOV, MKV, WebM or any other video.",
    pictures: "Pictures, with same-name .txt captions or without; or a ZIP or a folder of them.",
  },
  file: (name) => `Upload of ${name}`,
  sent: (done, total, percent) => `${done} of ${total} (${percent})`,
  packing: (percent) => `Packing the pictures… ${percent}`,
  sending: "Sending",
  checking: "Checking what is in it…",
  waiting: (seconds) => (seconds > 0 ? `Connection lost; next try in ${seconds} s` : "Trying again…"),
  paused: "Paused",
  lost: "Choose the same file again to go on where it ended.",
  signedOut: "Sign in to go on with the upload.",
  refused: "It cannot be used",
  pause: "Pause",
  resume: "Go on",
  again: "Choose the file again",
  other: "Choose another file",
  remove: "Remove",
  pictures: (images, captions) => `${images === 1 ? "1 picture" : `${images} pictures`}, ${captions === 1 ? "1 caption" : `${captions} captions`}`,
  video: ({ width, height }, duration) => `video of ${duration}, ${width} × ${height}`,
  problems: {
    nothing: () => "There is no file among these.",
    mixed: ({ name }) => `${name} is neither a picture nor a caption. Send one ZIP, one video, or pictures with their captions.`,
    noPicture: () => "There is no picture among these.",
    large: () => "These are more than a ZIP made here can hold (4 GB). Make a ZIP yourself, or send fewer.",
    unreadable: () => "The file cannot be read any more. Choose it again.",
  },
};

await localize("strings-upload.js", { upload });
