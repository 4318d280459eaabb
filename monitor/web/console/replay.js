// Uploads a recording and shows its call.
import { ask } from "./api.js";
import { $, say } from "./dom.js";

export function prepareReplay() {
  $("replay-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const [file] = $("file").files, query = new URLSearchParams({ pace: $("pace").value, label: file.name.slice(0, 80) });
    $("upload").disabled = true;
    say($("replay-status"), `uploading ${(file.size / 1e6).toFixed(1)} MB…`);
    try {
      const answer = await ask(`/api/v1/recordings?${query}`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file });
      const call = await answer.json();
      say($("replay-status"), "");
      location.hash = `#/calls/${encodeURIComponent(call.id)}`;
    } catch (error) {
      say($("replay-status"), `Not replayed. ${error.message}`);
    } finally {
      $("upload").disabled = false;
    }
  });
}
