// Publishes this browser's microphone and camera by WHIP and shows what the monitor makes of it.
const $ = (id) => document.getElementById(id);
const words = {
  warming: "Listening: too little speech yet to say anything.",
  normal: "Nothing suspicious in what was heard. This is not proof of a human voice.",
  review: "Unusual for a human voice. Verify the caller by another channel.",
  alert: "Very unusual for a human voice. Step up verification now.",
};
let token = sessionStorage.getItem("token") || "";
let session = null;
let points = [];

if (location.hash.startsWith("#token=")) {
  token = decodeURIComponent(location.hash.slice(7));
  sessionStorage.setItem("token", token);
  history.replaceState(null, "", location.pathname);
}
$("token").value = token;
$("use-token").onclick = () => {
  token = $("token").value.trim();
  sessionStorage.setItem("token", token);
  probe();
};

const auth = () => ({ Authorization: `Bearer ${token}` });

async function probe() {
  if (!token) { $("service").textContent = "enter the API token"; return; }
  try {
    const answer = await fetch("/api/v1/calls?limit=1", { headers: auth() });
    $("service").textContent = answer.ok ? "ready" : (await answer.json()).detail;
  } catch {
    $("service").textContent = "the service does not answer";
  }
}
probe();

$("start").onclick = async () => {
  $("start").disabled = true;
  try {
    await publish();
  } catch (error) {
    $("publish-status").textContent = error.message;
    await hangUp();
  }
};
$("stop").onclick = () => hangUp();

async function publish() {
  const media = await navigator.mediaDevices.getUserMedia({
    // The browser's own processing would hide what the caller's line sounds like.
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    video: $("with-camera").checked ? { width: 640, height: 480 } : false,
  });
  $("preview").srcObject = media;
  $("preview").classList.toggle("on", media.getVideoTracks().length > 0);
  const pc = new RTCPeerConnection();
  session = { pc, media, url: null, reader: new AbortController() };
  for (const track of media.getTracks()) pc.addTransceiver(track, { direction: "sendonly", streams: [media] });
  pc.onconnectionstatechange = () => { $("publish-status").textContent = `connection ${pc.connectionState}`; };
  await pc.setLocalDescription(await pc.createOffer());
  await new Promise((done) => {
    if (pc.iceGatheringState === "complete") return done();
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done();
    setTimeout(done, 2000);
  });
  const answer = await fetch("/whip?participant=browser", {
    method: "POST",
    headers: { ...auth(), "Content-Type": "application/sdp" },
    body: pc.localDescription.sdp,
  });
  if (!answer.ok) throw new Error((await answer.json()).detail);
  session.url = answer.headers.get("Location");
  const call = answer.headers.get("X-Call-Id");
  document.body.dataset.call = call;
  points = [];
  $("windows").replaceChildren();
  follow(call, session.reader.signal);
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  $("stop").disabled = false;
}

async function hangUp() {
  const ending = session;
  session = null;
  $("stop").disabled = true;
  if (ending) {
    // The body is read although it is empty: an unread answer counts as an aborted request.
    if (ending.url) {
      await fetch(ending.url, { method: "DELETE", headers: auth() }).then((r) => r.text()).catch(() => {});
    }
    ending.pc.close();
    ending.media.getTracks().forEach((track) => track.stop());
    $("preview").classList.remove("on");
    setTimeout(() => ending.reader.abort(), 1000);
  }
  $("start").disabled = false;
}

// EventSource cannot send a token, so the stream is read with fetch.
async function follow(call, signal) {
  try {
    const answer = await fetch(`/api/v1/events?call=${call}`, { headers: auth(), signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const blocks = rest.split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = /^event: (.*)$/m.exec(block);
        const data = /^data: (.*)$/m.exec(block);
        if (event && data) show(event[1], JSON.parse(data[1]));
      }
    }
  } catch (error) {
    if (error.name !== "AbortError") $("publish-status").textContent = `events: ${error.message}`;
  }
}

function show(event, data) {
  if (event === "window" && data.detector === "voice") {
    points.push({ time: data.end, llr: data.llr ?? null });
    points = points.slice(-120);
    const text = data.llr === undefined ? `not scored: ${data.abstained}` : `llr ${data.llr.toFixed(2)}`;
    addLine($("windows"), `${data.start.toFixed(1)}–${data.end.toFixed(1)} s  ${text}`, 8);
    draw();
  } else if (event === "window" && data.detector === "face") {
    const px = data.quality.face_px;
    $("face").textContent = px ? `found, ${Math.round(px)} px wide; not judged: ${data.abstained}` : "none found";
  } else if (event === "verdict") {
    $("state").textContent = data.state;
    $("state").dataset.state = data.state;
    $("state-words").textContent = words[data.state] ?? "";
    $("scored").textContent = data.seconds.scored.toFixed(0);
    $("unmonitored").textContent = (data.seconds.abstained + data.seconds.lost).toFixed(0);
    $("p-value").textContent = data.p_value === null ? "–" : `${(100 * data.p_value).toFixed(1)} %`;
  } else if (event === "alert") {
    if ($("alerts").querySelector(".hint")) $("alerts").replaceChildren();
    const item = addLine($("alerts"), `${data.tier} ${data.action}: ${data.type}, from ${data.span.start.toFixed(0)} s` +
      (data.allowed ? ` (synthetic speech allowed: ${data.allowed.name})` : ` (advice: ${data.advice.replace("_", " ")})`) +
      (data.certified ? "" : " (false-alarm rate of this tier not certified)"), 20);
    item.classList.toggle("raised", data.action === "raised");
  } else if (event === "call" && data.state === "ended") {
    $("publish-status").textContent = `call ended: ${data.reason}`;
  }
}

function addLine(list, text, most) {
  const item = document.createElement("li");
  item.textContent = text;
  list.prepend(item);
  while (list.children.length > most) list.lastChild.remove();
  return item;
}

function draw() {
  const canvas = $("chart"), g = canvas.getContext("2d");
  const { width, height } = canvas, x = (i) => (i + 0.5) * width / 120, y = (v) => height / 2 - v * height / 7;
  g.clearRect(0, 0, width, height);
  g.strokeStyle = "#888";
  g.beginPath(); g.moveTo(0, height / 2); g.lineTo(width, height / 2); g.stroke();
  points.forEach((point, i) => {
    if (point.llr === null) { g.fillStyle = "#8884"; g.fillRect(x(i) - 2, 0, 4, height); return; }
    g.fillStyle = point.llr > 0 ? "#d55e00" : "#0072b2";
    g.fillRect(x(i) - 2, Math.min(y(0), y(point.llr)), 4, Math.max(1, Math.abs(y(point.llr) - y(0))));
  });
}
