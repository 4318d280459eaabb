// Publishes this browser's microphone and camera by WHIP (RFC 9725).
import { ask } from "./api.js";
import { $, say } from "./dom.js";

const CONNECTION = {
  connecting: "connecting…", connected: "connected: talk, it is being judged",
  disconnected: "connection interrupted, waiting…",
};
let session = null;

export const ownCall = () => document.body.dataset.call;

export function preparePublishing() {
  $("start").onclick = async () => {
    $("start").disabled = true;
    say($("publish-status"), "asking for the microphone…");
    try {
      await publish();
    } catch (error) {
      await hangUp(words(error));
    }
  };
  $("stop").onclick = () => hangUp();
}

function words(error) {
  if (error.name === "NotAllowedError") return "The browser refused: allow this page to use the microphone, then start again.";
  if (error.name === "NotFoundError") return "No such device: connect a microphone, or start without camera.";
  return error.message;
}

async function publish() {
  if (!navigator.mediaDevices) throw new Error("Browsers give out the microphone only on HTTPS and on this machine: open this page by either.");
  const media = await navigator.mediaDevices.getUserMedia({
    // The browser's own processing would hide what the caller's line sounds like.
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    video: $("with-camera").checked ? { width: 640, height: 480 } : false,
  });
  $("preview").srcObject = media;
  $("preview").classList.toggle("on", media.getVideoTracks().length > 0);
  const pc = new RTCPeerConnection();
  session = { pc, media, url: null };
  for (const track of media.getTracks()) pc.addTransceiver(track, { direction: "sendonly", streams: [media] });
  pc.onconnectionstatechange = () => {
    say($("publish-status"), CONNECTION[pc.connectionState] ?? "");
    if (pc.connectionState === "failed" && session?.pc === pc) hangUp("The connection was lost. Start again to go on.");
  };
  await pc.setLocalDescription(await pc.createOffer());
  await new Promise((done) => {
    if (pc.iceGatheringState === "complete") return done();
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done();
    setTimeout(done, 2000);
  });
  const answer = await ask("/whip?participant=browser", {
    method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp,
  });
  session.url = answer.headers.get("Location");
  const call = answer.headers.get("X-Call-Id");
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  document.body.dataset.call = call;
  $("stop").disabled = false;
  location.hash = `#/calls/${encodeURIComponent(call)}`;
}

async function hangUp(why = "stopped") {
  const ending = session;
  session = null;
  $("stop").disabled = true;
  if (ending) {
    // The body is read although it is empty: an unread answer counts as an aborted request.
    if (ending.url) await ask(ending.url, { method: "DELETE" }).then((r) => r.text()).catch(() => {});
    ending.pc.close();
    ending.media.getTracks().forEach((track) => track.stop());
    $("preview").classList.remove("on");
  }
  say($("publish-status"), why);
  $("start").disabled = false;
}
