// Where the pictures of a frame are; addresses relative to the page, so that a prefix of a proxy holds.
import { endpoint } from "../../api.js";

export const thumbnailOf = (jobId, frame) => frame.thumbnail_url && urlOf(jobId, frame.id, "thumbnail", frame.thumbnail_url);
export const imageOf = (jobId, frame) => frame.image_url && urlOf(jobId, frame.id, "image", frame.image_url);

function urlOf(jobId, id, what, given) {
  const url = endpoint(`jobs/${encodeURIComponent(jobId)}/dataset/frames/${encodeURIComponent(id)}/${what}`);
  return url.pathname + new URL(given, location.href).search; // names the content, so that browsers may keep it
}
