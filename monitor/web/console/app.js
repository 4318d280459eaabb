// Which page is shown, who may see it, and what every page has: status, alert count, announcements.
import { endSession, findSession, hasToken, takeToken } from "./api.js";
import { alertsPage, open } from "./alerts.js";
import { callPage } from "./call.js";
import { callsPage } from "./calls.js";
import { $, say } from "./dom.js";
import * as feed from "./feed.js";
import { modelsPage } from "./models.js";
import { ownCall, preparePublishing } from "./publish.js";
import { prepareReplay } from "./replay.js";
import { STATES, todo } from "./words.js";

const PAGES = { "": callsPage, calls: callPage, alerts: alertsPage, models: modelsPage };
let page = null;

function route() {
  if (location.hash.startsWith("#token=")) {
    takeToken(decodeURIComponent(location.hash.slice(7)));
    history.replaceState(null, "", location.pathname);
    feed.start();
  }
  if (location.hash && !location.hash.startsWith("#/")) return;
  const [name, argument] = location.hash.slice(2).split("/").map(decodeURIComponent);
  page?.close();
  page = (PAGES[name ?? ""] ?? callsPage)($("main"), argument);
  const shown = name === "alerts" || name === "models" ? name : "calls";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === shown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const own = name === "calls" && argument !== undefined && argument === ownCall();
  $("bring").hidden = !(own || !name);
  $("bring").classList.toggle("own", own);
  $("replay").hidden = own;
  $("main").querySelector("h1")?.focus({ preventScroll: true });
  scrollTo(0, 0);
  show();
}

function show() {
  const { state, detail, loaded } = feed.status;
  const refused = !hasToken() || state === "refused";
  $("access").hidden = !refused;
  $("main").hidden = refused;
  if (refused) $("bring").hidden = true;
  else if (!location.hash.startsWith("#/") || location.hash === "#/") $("bring").hidden = false;
  say($("access-problem"), state === "refused" ? detail : "");
  say($("service"), refused ? ($("log-in").hidden ? "enter the API token" : "log in, or enter the API token")
    : state === "live" && loaded ? "live" : state === "away" ? "connection lost, trying again…" : "connecting…");
  $("service").dataset.state = refused ? "refused" : state;
  const count = open().length;
  $("open-alerts").hidden = count === 0;
  say($("open-alerts"), `${count} open`);
  // Somebody whose console lies in another tab sees that there is something to do.
  document.title = `${count ? `(${count}) ` : ""}${page?.title ?? "Calls"} · deepfake monitor`;
}

document.addEventListener("raised", ({ detail: alert }) => {
  if (alert.action === "raised") {
    say($("announcer"), `${STATES[alert.tier].name}: ${alert.participant}. ${STATES[alert.tier].says} ${todo(alert.tier, alert)}`);
  }
});
$("access-form").addEventListener("submit", (event) => {
  event.preventDefault();
  takeToken($("token").value);
  feed.status.state = "connecting";
  feed.start();
});
$("log-out").addEventListener("click", () => endSession().finally(() => location.assign("/")));
window.addEventListener("hashchange", route);
preparePublishing();
prepareReplay();
feed.listen(show);
const { offered, session } = await findSession();
$("log-in").hidden = !offered;
$("person").hidden = !session;
say($("person-name"), session?.name ?? "");
if (hasToken() && !location.hash.startsWith("#token=")) feed.start();
route();
show();
