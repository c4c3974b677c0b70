// Starting what was filled in, exactly once: also where the answer is lost, the page is reloaded, or the server
// first wants to know who asks ("sign in and start"). The draft keeps body and Idempotency-Key until there is a job.
import { isIntended, orderOf } from "./draft.js";

export const SIGN_IN = "#/sign-in";

/** Start `body`. `create(text, key)` sends it and gives the job, or throws an error with a `status`.
 *  @returns {Promise<{is: "started", job: object} | {is: "signIn"} | {is: "refused", error: Error}>} */
export async function start({ drafts, body, create, newKey, now }) {
  const draft = drafts.read() ?? {};
  const order = orderOf(draft.order, body, { newKey, now });
  drafts.write({ ...draft, order });
  return send({ drafts, order, create });
}

/** Go on with a start that was asked for before and has no job yet; null where there is none. */
export async function resume({ drafts, create, now }) {
  const draft = drafts.read();
  return isIntended(draft, now) ? send({ drafts, order: draft.order, create }) : null;
}

async function send({ drafts, order, create }) {
  try {
    const job = await create(order.text, order.key);
    drafts.clear();
    return { is: "started", job };
  } catch (error) {
    if (error.status === 401) return { is: "signIn" };
    // The key stays: where the job was made and only the answer was lost, the next try finds it.
    const draft = drafts.read();
    if (draft) drafts.write({ ...draft, order: { ...order, intent: null } });
    return { is: "refused", error };
  }
}
