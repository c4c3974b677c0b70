// Who looks at this page, as the server says, and what a change of that means for the stream.
import { request } from "./api.js";
import { Emitter } from "./emitter.js";

const PATH = "../session";

export class Session extends Emitter {
  /** @param {{halt: () => void, resume: () => void}} live the stream: it rests while nobody is signed in. */
  constructor(live) {
    super();
    this.live = live;
    this.who = null; // {access_control, user, role, via}; null before the server was asked
  }

  /** True where people sign in and somebody has. */
  get isSignedIn() {
    return Boolean(this.who?.access_control && this.who.user);
  }

  /** True where whoever reaches the server may do everything. */
  get isOpen() {
    return this.who?.access_control === false;
  }

  /** Ask the server. Throws ApiError. */
  async load() {
    this.#become(await request("GET", PATH));
    if (!this.isOpen && !this.isSignedIn) this.live.halt();
  }

  /** The server no longer knows who asks. */
  lost() {
    this.live.halt();
    const openid = this.who?.openid; // undefined: nobody has asked yet
    if (this.who?.user !== null) this.#become({ access_control: true, user: null, role: null, via: null, openid });
  }

  /** `{name, password}` or `{api_key}`. Throws ApiError: 401 where they are wrong, 429 after too many tries. */
  async signIn(credentials) {
    this.#become(await request("POST", PATH, { body: JSON.stringify(credentials) }));
    this.live.resume();
  }

  /** Sign in at the OpenID provider, or `link` an account there: this page is left and goes on at `back`. Throws ApiError. */
  async leaveToSignIn(back, { link = false } = {}) {
    const { url } = await request("POST", `${PATH}/openid`, { body: JSON.stringify({ back, link }) });
    location.assign(url);
  }

  /** End the session of this browser. Throws ApiError. */
  async signOut() {
    await request("DELETE", PATH);
    this.lost();
  }

  #become(who) {
    this.who = who;
    this.changed();
  }
}
