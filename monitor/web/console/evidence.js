// Evidence bundles of an alert: downloaded, compared with what was sealed, and verified.
import { ask, get } from "./api.js";
import { h, say } from "./dom.js";
import { empty } from "./marks.js";

export async function bundles(element, alert) {
  element.replaceChildren(empty("Asking…"));
  try {
    const found = await get(`/api/v1/alerts/${alert}/evidence`);
    if (found.length) element.replaceChildren(...found.map(bundle));
    else element.replaceChildren(empty("No evidence was kept for this alert: recording is off, or no entry of evidence.record names this call."));
  } catch (error) {
    element.replaceChildren(empty(error.message));
  }
}

function bundle(kept) {
  const said = h("p", { role: "status" }), checks = h("ul", { class: "checks" });
  const tell = async (work) => {
    checks.replaceChildren();
    try {
      await work();
    } catch (error) {
      say(said, `✗ ${error.message}`);
    }
  };
  return h("div", { class: "bundle", "data-bundle": kept.id },
    h("p", {}, `${kept.file}, ${(kept.bytes / 1e6).toFixed(1)} MB${kept.encrypted ? ", encrypted" : ""}`),
    h("div", { class: "row" },
      h("button", { class: "download", onclick: () => tell(() => download(kept, said)) }, "Download"),
      h("button", { class: "verify", onclick: () => tell(() => verify(kept, said, checks)) }, "Verify")),
    said, checks);
}

async function download(kept, said) {
  say(said, "Downloading…");
  const data = await (await ask(kept.href)).arrayBuffer();
  const link = h("a", { href: URL.createObjectURL(new Blob([data])), download: kept.file });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  // Browsers offer the hash only on HTTPS and on this machine.
  if (!crypto.subtle) return say(said, `Downloaded. Its SHA-256 must be ${kept.sha256}.`);
  const hash = [...new Uint8Array(await crypto.subtle.digest("SHA-256", data))].map((b) => b.toString(16).padStart(2, "0")).join("");
  say(said, hash === kept.sha256 ? "✓ Downloaded: its SHA-256 is the one in the journal." : "✗ Downloaded, but it is not the file that was sealed. Do not use it.");
}

async function verify(kept, said, checks) {
  say(said, "Checking…");
  const found = await get(`${kept.href}/verification`);
  const marks = { ok: "✓", FAILED: "✗", "not checked": "?" };
  say(said, { ok: "✓ Verified: every part is as it was sealed, by this service's key.", FAILED: "✗ Not as it was sealed: do not rely on it.", "not checked": "? Not everything could be checked here." }[found.state]);
  checks.replaceChildren(...found.checks.map((check) => h("li", {}, `${marks[check.state]} ${check.detail}`)),
    h("li", {}, "For somebody else, check on another machine: ", h("code", {}, `deepfake-monitor verify ${kept.file} --key signing.pub`)));
}
