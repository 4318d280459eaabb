// Publishes by WHIP what FFmpeg sends to two UDP ports: node send.mjs URL TOKEN AUDIO VIDEO SECONDS
import { createSocket } from "node:dgram";
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters } from "werift";

const [url, token, audioPort, videoPort, seconds] = process.argv.slice(2);
const opus = new RTCRtpCodecParameters({ mimeType: "audio/opus", clockRate: 48000, channels: 2, payloadType: 111 });
const vp8 = new RTCRtpCodecParameters({
  mimeType: "video/VP8",
  clockRate: 90000,
  payloadType: 96,
  rtcpFeedback: [{ type: "nack" }, { type: "nack", parameter: "pli" }],
});
const pc = new RTCPeerConnection({ codecs: { audio: [opus], video: [vp8] }, iceServers: [] });
for (const [kind, port] of [["audio", audioPort], ["video", videoPort]]) {
  const track = new MediaStreamTrack({ kind });
  pc.addTransceiver(track, { direction: "sendonly" });
  const socket = createSocket("udp4");
  socket.on("message", (packet) => track.writeRtp(packet));
  socket.bind(Number(port), "127.0.0.1");
}
await pc.setLocalDescription(await pc.createOffer());
const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/sdp" };
const answer = await fetch(`${url}/whip?call=npm`, { method: "POST", headers, body: pc.localDescription.sdp });
if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`);
await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
console.log("published");
await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));
await fetch(new URL(answer.headers.get("location"), url), { method: "DELETE", headers });
await pc.close();
process.exit(0);
