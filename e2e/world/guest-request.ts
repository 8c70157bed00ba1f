/** An HTTP request from inside a sandbox. */
export interface GuestRequest {
  readonly url: string
  /** Past the proxy that the environment names. */
  readonly direct?: boolean
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
  /** Trusts these alone (PEM). */
  readonly ca?: readonly string[]
}

/** Without single quotes, and for Node 20 as well: the guest has whatever its host has. */
const program = `
const { request } = require("node:http"), secure = require("node:https").request, tls = require("node:tls");
const { url, direct, method, headers, body, ca } = JSON.parse(process.argv[1]);
const [, scheme, host, path] = /^(https?):..([^/]+)(.*)$/.exec(url);
const [, name, port] = /^(.*?)(?::([0-9]+))?$/.exec(host);
const at = (name, port) => ({ hostname: name.replace(/[[\\]]/g, ""), port, method, timeout: 20000 });
const fail = (why) => { console.error(why); process.exit(7) };
const watch = (asked) => asked.on("error", (error) => fail(error.message)).on("timeout", () => fail("timed out"));
const show = (answer) => {
  let text = "";
  answer.setEncoding("utf8").on("data", (piece) => { text += piece }).on("end", () => console.log(text + "\\n" + answer.statusCode));
};
const proxy = direct ? null : new URL(process.env[scheme + "_proxy"]);
const all = { host, ...headers };
if (proxy === null) watch(request({ ...at(name, port ?? 80), path, headers: all }, show)).end(body);
else if (scheme === "http") watch(request({ ...at(proxy.hostname, proxy.port), path: url, headers: all }, show)).end(body);
else {
  const connect = request({ ...at(proxy.hostname, proxy.port), method: "CONNECT", path: name + ":" + (port ?? 443) });
  connect.on("connect", (answer, socket) => {
    if (answer.statusCode !== 200) fail("CONNECT " + answer.statusCode);
    const createConnection = () => tls.connect({ socket, servername: name, ca });
    watch(secure({ path, method, headers: all, createConnection }, show)).end(body);
  });
  watch(connect).end();
}`

/**
 * A command that makes the request with nothing but Node: a bare machine has no curl. It prints the body and, on
 * a line of its own, the status; it ends with 7 when no answer came, or the proxy opened no tunnel.
 */
export function guestRequest(request: GuestRequest): string {
  const quoted = JSON.stringify(request).replaceAll("'", "'\\''")
  return `node -e '${program}' '${quoted}'`
}
