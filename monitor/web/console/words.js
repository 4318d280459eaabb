// What the console says, in the words of somebody who takes calls.
export const STATES = {
  alert: { mark: "◆", name: "alert", says: "Very unusual for a genuine caller.", todo: "Step up verification now." },
  review: { mark: "▲", name: "review", says: "Unusual for a genuine caller.", todo: "Verify by another channel." },
  normal: { mark: "●", name: "normal", says: "Nothing suspicious so far.", todo: "This is not proof of a genuine caller." },
  warming: { mark: "◌", name: "warming", says: "Listening: too little was judged yet to say anything.", todo: "" },
};
export const GRAVITY = ["warming", "normal", "review", "alert"];

const REASONS = {
  silence: "no speech", too_little_speech: "too little speech", gap: "too much was missing",
  no_face: "no face found", face_too_small: "face too small", face_turned: "face turned away",
  not_measurable: "quality too poor to judge", occluded: "covered or badly lit",
  blurred: "picture too soft", few_pictures: "too few pictures", too_short: "not enough seen yet",
  no_feature: "nothing there to measure", no_contrast: "not above chance in this call",
  not_sampled: "not looked at just now", not_evaluated: "left out: machine overloaded", no_model: "no model installed", fault: "a part of the monitor failed",
  network: "packets lost", reconnect: "source was reconnecting", overload: "monitor was overloaded",
  idle: "nothing was sent", paused: "monitoring paused", truncated: "recording cut short",
  interrupted: "monitoring machine was lost",
  damaged: "damaged: cannot be decoded", absent: "no such track in the recording here",
};
const DETECTORS = {
  voice: "Voice", face: "Face", sync: "Lips and voice", lipsync: "Lips and voice", blink: "Blinking",
  reflections: "Reflections in the eyes", lighting: "Lighting of the skin", facial_hair: "Facial hair",
  expression: "Expressions", pulse: "Pulse",
};
export const ADVICE = {
  continue: "Carry on.",
  step_up: "Verify this caller by another channel.",
  human_review: "Bring in somebody who decides.",
};
const PAUSES = {
  consent: "no consent to be monitored", payment: "payment data is being given",
  privacy: "something private is being said", operator: "by whoever runs the call",
};
export const OUTCOMES = {
  true_fake: "It was a fake", false_alarm: "Genuine caller", benign_processing: "Genuine, bad line", unsure: "Cannot tell",
};
const INGESTS = {
  whip: "browser or WebRTC", file: "recording", rtsp: "camera (RTSP)", rtp: "RTP", whep: "WHEP",
  twilio: "telephone (Twilio)", audiohook: "telephone (AudioHook)", audiosocket: "telephone (AudioSocket)",
  siprec: "telephone (SIPREC)", zoom: "Zoom",
  attendee: "meeting (Attendee)", recall: "meeting (Recall.ai)", acs: "meeting (Azure)",
  jitsi: "meeting (Jitsi)", livekit: "meeting (LiveKit)",
};
const TYPES = { voice: "the voice", face: "the face", sync: "lips and voice together", fused: "everything together" };

// Certificates are named after alert types, windows after detectors.
const COUNTED_AS = { lipsync: "sync" };
export const counts = (name, certificates) => "fused" in certificates || (COUNTED_AS[name] ?? name) in certificates;

const plain = (name) => name.replaceAll("_", " ");
export const reason = (name) => REASONS[name] ?? plain(name);
export const detector = (name) => DETECTORS[name] ?? plain(name).replace(/^./, (c) => c.toUpperCase());
const ENDINGS = {
  ended: "over", truncated: "over, the recording was cut short", stopped: "over, stopped from here",
  interrupted: "interrupted: the service stopped",
};
export const ending = (name) => ENDINGS[name] ?? `over: ${plain(name)}`;
export const ingest = (name) => INGESTS[name] ?? name;
export const pause = (name) => PAUSES[name] ?? plain(name);

// What to do: what the service advises about an alert that has not been cleared, or what the state means.
export function todo(state, alert) {
  if (!alert || alert.action === "cleared") return STATES[state].todo;
  return alert.allowed ? `Synthetic speech is allowed here: ${alert.allowed.name}.` : ADVICE[alert.advice] ?? STATES[state].todo;
}
export const alertType = (name) => TYPES[name] ?? name;

export function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds)), pad = (n) => String(n).padStart(2, "0");
  return s < 3600 ? `${Math.floor(s / 60)}:${pad(s % 60)}` : `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`;
}

export function number(value, digits = 2) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

// A certificate's p-value, as a share that can be pictured.
export function rarity(p) {
  if (p === null || p === undefined) return "Nothing could be compared with genuine calls yet.";
  if (p >= 0.5) return "Most genuine calls look like this.";
  return `About 1 in ${Math.round(1 / p)} genuine calls used for calibration went this far.`;
}

// An LLR on one window: which way it leans, and how firmly.
export function leaning(llr) {
  if (llr === null || llr === undefined) return "not judged";
  const firm = Math.abs(llr) >= 2 ? "clearly " : Math.abs(llr) >= 0.7 ? "" : "slightly ";
  if (Math.abs(llr) < 0.2) return "leans neither way";
  return `${firm}leans ${llr > 0 ? "fake" : "genuine"}`;
}

export function rate(perHour) {
  if (!Number.isFinite(perHour) || perHour <= 0) return "unknown";
  return perHour >= 1 ? `${perHour.toFixed(1)} an hour` : `one in ${Math.round(1 / perHour)} hours`;
}

export const unmonitored = (seconds) => (seconds ? seconds.abstained + seconds.lost : 0);
