// The page: one store, one stream, and the view that the address names.
import { Component, h, html, lazy, render, stylesheet, useEffect, useRef, useSource, useState } from "./dom.js";
import { door, endpoint } from "./api.js";
import { ConnectionBadge, ConnectionBanner } from "./components/connection.js";
import { LANGUAGES, choose, language } from "./language.js";
import { LiveStream } from "./live.js";
import { go, listHref, parseRoute, signInHref } from "./router.js";
import { Session } from "./session.js";
import { Store } from "./store.js";
import { strings } from "./strings.js";

// A view is fetched when it is first shown, so that the first view costs no more than itself.
const VIEWS = {
  __proto__: null, // views alone: no address leads to what every object has
  jobs: () => view(import("./views/jobs.js"), "JobsView", "css/list.css"),
  job: () => import("./views/job.js").then((module) => module.JobView),
  new: () => view(import("./views/new.js"), "NewView", "css/list.css", "css/form.css"),
  compare: () => view(import("./views/compare.js"), "CompareView", "css/list.css", "css/curves.css", "css/compare.css"),
  models: () => import("./views/models.js").then((module) => module.ModelsView),
  model: () => import("./views/model.js").then((module) => module.ModelView),
  "sign-in": () => import("./views/sign-in.js").then((module) => module.SignInView),
  keys: () => import("./views/keys.js").then((module) => module.KeysView),
  analytics: () => import("./views/analytics.js").then((module) => module.AnalyticsView),
  usage: () => import("./views/usage.js").then((module) => module.UsageView),
  admin: () => import("./views/admin.js").then((module) => module.AdminView),
};
// The views that the header leads to, in its order; those that are not there are left out.
const LINKS = Object.entries({ jobs: "#/", new: "#/new", compare: "#/compare", models: "#/models", analytics: "#/analytics", usage: "#/usage", admin: "#/admin" });
const QueueBanner = lazy(() => afterFirstView.then(() => import("./components/queue-banner.js")).then((module) => module.QueueBanner));
const Who = lazy(() => import("./components/who.js").then((module) => module.Who), "css/session.css");
// What no view waits for.
const afterFirstView = new Promise((done) => addEventListener("load", () => setTimeout(done, 1500)));
// What is read ahead: the other one of these is one click away.
const NEAR = ["jobs", "job"];
const loadedViews = {};

/** A view once its module and its stylesheets are here. */
const view = (module, name, ...sheets) => Promise.all([module, ...sheets.map(stylesheet)]).then(([loaded]) => loaded[name]);

async function loadView(name) {
  loadedViews[name] ??= await VIEWS[name]();
  return loadedViews[name];
}

// Everything but log lines; those are asked for while a job is open.
const KINDS_OF_LIST = [
  "created", "pending", "scheduled", "started", "stage", "progress", "metrics", "artifact",
  "cancel_requested", "prioritized", "retried", "parked", "succeeded", "failed", "cancelled", "deleted", "queue",
];

const first = parseRoute(location.hash).view;
if (first in VIEWS) void loadView(first).catch(() => {}); // the view shows the error

class App {
  constructor() {
    this.store = new Store();
    this.sparks = null; // of the list, made with it
    this.detail = null; // the open job
    this.live = new LiveStream({
      url: endpoint("events"),
      onEvents: (events) => this.store.take(events),
      onStatus: (status) => this.store.status(status),
      onFresh: () => this.store.fresh(),
      onOpen: () => this.detail?.streamOpened(),
      onSignedOut: () => this.signedOut(),
    });
    this.session = new Session(this.live);
    door.onSignedOut = () => this.signedOut();
    this.store.onAnswer = (cursor) => this.live.start(cursor);
    this.show(null);
  }

  /** To the sign-in, and from there back here. */
  signedOut() {
    this.session.lost();
    if (parseRoute(location.hash).view !== "sign-in") go(signInHref(location.hash), { replace: true });
  }

  /** The stream carries what the open view needs. */
  show(detail) {
    this.detail = detail;
    this.live.choose(detail ? [] : KINDS_OF_LIST);
  }
}

function Page({ app }) {
  const session = useSource(app.session);
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  const main = useRef(null);
  const place = route.view + (route.id ?? "");
  const isFirst = useRef(true);
  useEffect(() => {
    const listen = () => setRoute(parseRoute(location.hash));
    addEventListener("hashchange", listen);
    return () => removeEventListener("hashchange", listen);
  }, []);
  useEffect(() => {
    // Another view: start at its top, with the keyboard there too.
    if (!isFirst.current) {
      scrollTo(0, 0);
      main.current.focus({ preventScroll: true });
    }
    isFirst.current = false;
  }, [place]);
  useEffect(() => {
    // On a phone the links are wider than the screen.
    document.querySelector(".header-link[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [route.view, session.who]);
  const skip = (event) => {
    event.preventDefault(); // the hash is the address of the view
    main.current.focus();
  };
  return html`
    <a class="skip" href="#main" onClick=${skip}>${strings.skip}</a>
    <header class="header">
      <nav class="header-row" aria-label=${strings.nav.label}>
        <a class="brand" href="#/"><img src="icon.svg" alt="" width="26" height="26" />${strings.product}</a>
        <span class="header-links">
          ${LINKS.filter(([name]) => name in VIEWS && (name !== "admin" || session.who?.role === "admin")).map(([name, href]) => html`<a class="header-link" key=${name} href=${href}
            aria-current=${name === route.view ? "page" : undefined}>${strings.nav[name]}</a>`)}
          <a class="header-link" href="openapi.json">${strings.nav.docs}</a>
          ${Object.entries(LANGUAGES).filter(([name]) => name !== language).map(([name, itself]) => html`<button type="button" key=${name}
            class="header-link header-button" lang=${name} onClick=${() => (choose(name), location.reload())}>${itself}</button>`)}
        </span>
        <${ConnectionBadge} live=${app.live} />
        <${Someone} session=${app.session} />
      </nav>
      <${ConnectionBanner} live=${app.live} />
      <${QueueBanner} app=${app} />
    </header>
    <main class="main" id="main" ref=${main} tabindex="-1"><${View} key=${place} app=${app} route=${route} /></main>
  `;
}

/** Who is signed in; where nobody has to be, not even its module is fetched. */
function Someone({ session }) {
  useSource(session);
  useEffect(() => void (session.who ?? session.load().catch(() => {})), [session]); // the view tells what is wrong
  return session.who && !session.isOpen && html`<${Who} session=${session} />`;
}

function View({ app, route }) {
  const [Shown, setShown] = useState(() => loadedViews[route.view] ?? null);
  const [error, setError] = useState(null);
  useEffect(() => {
    if (Shown || !(route.view in VIEWS)) return;
    loadView(route.view).then((view) => setShown(() => view), setError);
  }, []);
  if (!(route.view in VIEWS)) return html`<${NotFound} />`;
  if (error) return html`<p class="inline-error" role="alert">${strings.error.unexpected}</p>`;
  return Shown && html`<${Shown} app=${app} id=${route.id} params=${route.params} />`;
}

function NotFound() {
  const text = strings.notFound;
  return html`<section class="notice">
    <h1>${text.heading}</h1>
    <p class="muted">${text.text}</p>
    <a class="button" href=${listHref({})}>${text.back}</a>
  </section>`;
}

/** Shows that something broke instead of a white page. */
class Boundary extends Component {
  static getDerivedStateFromError(error) {
    return { error };
  }
  componentDidCatch(error) {
    console.error(error);
  }
  render({ children }, { error }) {
    return error ? html`<p class="inline-error" role="alert">${strings.error.unexpected}</p>` : children;
  }
}

document.documentElement.lang = language;
render(h(Boundary, null, h(Page, { app: new App() })), document.getElementById("app"));

addEventListener("load", () => setTimeout(() => NEAR.forEach((name) => void loadView(name).catch(() => {})), 4000));
