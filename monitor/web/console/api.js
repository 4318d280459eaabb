// The service's interface: requests with the token, problems as errors, and the event stream.
let token = sessionStorage.getItem("token") || "";

export function takeToken(text) {
  token = text.trim();
  sessionStorage.setItem("token", token);
}

// Who has logged in is known by a cookie that no script reads; a page of ours shows that it is one by
// the session's second secret, which is sent along.
let session = null;

export async function findSession() {
  const answer = await fetch("/login/session").catch(() => null);
  const found = answer?.ok ? await answer.json() : { offered: false, session: null };
  session = found.session;
  return found;
}

export async function endSession() {
  await ask("/login/end", { method: "POST" });
}

export const hasToken = () => token !== "" || session !== null;
const auth = () => token ? { Authorization: `Bearer ${token}` } : session ? { "X-CSRF-Token": session.csrf } : {};

export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...auth(), ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The service does not answer. Check that it runs and that this machine can reach it.");
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new ApiError(answer.status, problem.detail || `the service answered ${answer.status}`);
  }
  return answer;
}

export const get = async (path, signal) => (await ask(path, { signal })).json();

export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

// EventSource cannot send a token, so the stream is read with fetch. Reconnects until aborted.
export async function follow(query, signal, heard, state = () => {}) {
  for (let wait = 500; !signal.aborted; wait = Math.min(10_000, 2 * wait)) {
    try {
      const answer = await ask(`/api/v1/events?${new URLSearchParams(query)}`, { signal });
      state("live");
      wait = 500;
      await read(answer.body, heard);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.status === 401 || error.status === 403) return state("refused", error.message);
    }
    if (signal.aborted) return;
    state("away");
    await new Promise((done) => setTimeout(done, wait));
  }
}

async function read(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = /^event: (.*)$/m.exec(block), data = /^data: (.*)$/m.exec(block);
      if (event && data) heard(event[1], JSON.parse(data[1]));
    }
  }
}
