import { spawn } from 'node:child_process'
import type { Server } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'
import { ForgeError } from '#core/errors.ts'
import type { SandboxId } from '#core/id.ts'
import { channel, ExecControl, type ExecEnd } from '#core/sandbox/exec-frames.ts'
import type { ProviderReport, Sandbox, SandboxSpec } from '#core/sandbox/sandbox.ts'
import type { SandboxService } from '#core/sandbox/service.ts'

/** "Sandboxes" that run their commands right here: what is tested is the client's half of the stream. */
export class MemorySandboxes implements SandboxService {
  readonly sandboxes: Sandbox[] = []
  reports: ProviderReport[] = []
  /** Where commands run. */
  cwd = '/tmp'

  async list(all: boolean): Promise<Sandbox[]> {
    return this.sandboxes.filter(({ state }) => all || state === 'running')
  }

  async create(spec: SandboxSpec): Promise<Sandbox> {
    const sandbox: Sandbox = {
      id: `sbx_${String(this.sandboxes.length).padStart(10, '0')}` as SandboxId,
      name: spec.name ?? null,
      state: 'running',
      provider: 'memory',
      run: null,
      limits: spec.limits,
      enforcement: null,
      reason: null,
      createdAt: '2026-01-02T03:04:05.000Z',
    }
    this.sandboxes.unshift(sandbox)
    return sandbox
  }

  async get(ref: string): Promise<Sandbox> {
    const found = this.sandboxes.find(({ id, name }) => name === ref || id.startsWith(ref))
    if (!found) throw new ForgeError('not_found', `there is no sandbox ${ref}`)
    return found
  }

  async destroy(id: SandboxId): Promise<void> {
    const at = this.sandboxes.findIndex((sandbox) => sandbox.id === id)
    const found = this.sandboxes[at]
    if (found) this.sandboxes[at] = { ...found, state: 'destroyed' }
  }

  async probe(): Promise<ProviderReport[]> {
    return this.reports
  }

  /** Gives what breaks the open connections. */
  serveExec(server: Server): () => void {
    const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
    server.on('upgrade', (request, socket, head) => {
      if (/^\/v1\/sandboxes\/[^/]+\/exec$/.test(request.url ?? ''))
        sockets.handleUpgrade(request, socket, head, (ws) => runCommand(ws, this.cwd))
      else socket.destroy()
    })
    return () => {
      for (const ws of sockets.clients) ws.terminate()
    }
  }
}

function runCommand(ws: WebSocket, cwd: string): void {
  const send = (to: number, bytes: Buffer) =>
    new Promise<void>((resolve) => ws.send(Buffer.concat([Buffer.from([to]), bytes]), () => resolve()))
  let child: ReturnType<typeof spawn> | undefined
  const start = (program: readonly [string, ...string[]]) => {
    const [file, ...args] = program
    child = spawn(file, args, { cwd, detached: true })
    const pump = async (to: number, stream: AsyncIterable<Buffer>) => {
      for await (const bytes of stream) await send(to, bytes)
    }
    const outputs = Promise.all([
      pump(channel.stdout, child.stdout as AsyncIterable<Buffer>),
      pump(channel.stderr, child.stderr as AsyncIterable<Buffer>),
    ])
    child.on('exit', async (code, signal) => {
      await outputs
      const end: ExecEnd = { kind: 'exit', code, signal: signal?.slice(3) ?? null, timedOut: false }
      await send(channel.control, Buffer.from(JSON.stringify(end)))
      ws.close()
    })
    child.stdin?.on('error', () => {})
  }
  ws.on('message', (data: Buffer) => {
    const bytes = data.subarray(1)
    if (data[0] === channel.stdin) {
      if (bytes.length === 0) child?.stdin?.end()
      else child?.stdin?.write(bytes)
      return
    }
    const control = ExecControl.parse(JSON.parse(bytes.toString('utf8')))
    if (control.kind === 'start') {
      const command = control.command ?? 'exec bash --norc -i'
      // `script` gives it a terminal.
      start(control.terminal ? ['script', '-qefc', command, '/dev/null'] : ['bash', '-c', command])
    } else if (control.kind === 'signal' && child?.pid) process.kill(-child.pid, `SIG${control.signal}`)
  })
  ws.on('close', () => {
    if (child?.pid && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, 'SIGKILL')
  })
}
