import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface GitHost extends AsyncDisposable {
  readonly port: number
}

/** Serves the repositories in a folder for reading over git's smart HTTP, on 127.0.0.1; with `tls`, as HTTPS. */
export async function serveGit(dir: string, tls?: { key: string; cert: string }): Promise<GitHost> {
  const answer = (request: IncomingMessage, response: ServerResponse) => backend(dir, request, response)
  const server = tls ? createTlsServer(tls, answer) : createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** `git http-backend` as CGI (RFC 3875). */
function backend(dir: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH ?? '',
      GIT_PROJECT_ROOT: dir,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: String(request.headers['content-encoding'] ?? ''),
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  request.pipe(child.stdin).on('error', () => undefined)
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stdout.on('end', () => {
    const out = Buffer.concat(chunks)
    const end = out.indexOf('\r\n\r\n')
    const headers = out.subarray(0, end).toString('latin1').split('\r\n')
    const status = headers
      .find((line) => /^status:/i.test(line))
      ?.slice(7)
      .trim()
    for (const line of headers) {
      const [name = '', ...value] = line.split(':')
      if (!/^status$/i.test(name)) response.setHeader(name, value.join(':').trim())
    }
    response.writeHead(Number.parseInt(status ?? '200', 10)).end(out.subarray(end + 4))
  })
}
