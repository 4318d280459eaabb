// A certified OpenID provider that asks for a name only: node provider.mjs PORT CALLBACK SECRET PEOPLE
// PEOPLE is a JSON object: their ids, with a name and roles for each.
// Its name is localhost's, ours 127.0.0.1: to browsers these are two sites.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [port, callback, secret, people] = process.argv.slice(2);
const known = JSON.parse(people);
const provider = new Provider(`http://localhost:${port}`, {
  clients: [{ client_id: "monitor", client_secret: secret, redirect_uris: [callback] }],
  pkce: { required: () => true },
  claims: { openid: ["sub"], email: ["email"], profile: ["preferred_username", "roles"] },
  findAccount: (context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: known[id][0], roles: known[id].slice(1) }),
  }),
  features: { devInteractions: { enabled: false } },
  interactions: { url: (context, interaction) => `/interaction/${interaction.uid}` },
  async loadExistingGrant(context) {
    const grant = new context.oidc.provider.Grant({
      clientId: context.oidc.client.clientId,
      accountId: context.oidc.session.accountId,
    });
    grant.addOIDCScope("openid profile email");
    await grant.save();
    return grant;
  },
});
const answer = provider.callback();
createServer(async (request, response) => {
  if (!request.url.startsWith("/interaction/")) return answer(request, response);
  if (request.method === "GET") {
    response.setHeader("content-type", "text/html");
    return response.end(`<!doctype html><title>Provider</title><form method="post">
      <label>Account <input name="account"></label> <button>Go on</button></form>`);
  }
  let body = "";
  for await (const part of request) body += part;
  const login = { accountId: new URLSearchParams(body).get("account") };
  return provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
}).listen(Number(port), "127.0.0.1", () => console.log("ready"));
