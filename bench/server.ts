import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Http } from '#cli/client/http.ts'
import { pathsFrom } from '#core/config/paths.ts'
import type { Place } from './benchmark.ts'

const startLimitMs = 60_000

export interface RunningServer extends AsyncDisposable {
  readonly http: Http
  /** Milliseconds from its spawn to its first answer. */
  readonly readyMs: number
  stop(): Promise<void>
}

const accepts = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    const connection = connect(socket)
    connection.on('connect', () => {
      connection.destroy()
      resolve(true)
    })
    connection.on('error', () => resolve(false))
  })

/** The built server in a process of its own, with `home` as its FORGE_HOME. */
export async function runningServer({ root, scratch }: Place, home: string): Promise<RunningServer> {
  const started = performance.now()
  const child = spawn(process.execPath, [path.join(root, 'dist/server.mjs')], {
    cwd: '/',
    env: { PATH: process.env.PATH, HOME: scratch, FORGE_HOME: home, LANG: 'C.UTF-8' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-4000)
  })
  const exited = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const { socket } = pathsFrom({
    env: { FORGE_HOME: home },
    uid: process.getuid?.() ?? 0,
    home: scratch,
    cwd: '/',
  })
  while (!(await accepts(socket))) {
    if (child.exitCode !== null || performance.now() - started > startLimitMs)
      throw new Error(`the server did not start: ${complaint}`)
    await sleep(1)
  }
  const http = new Http(socket)
  await http.text({ method: 'GET', path: '/healthz' })
  const readyMs = performance.now() - started
  const stop = async () => {
    http.close()
    child.kill('SIGTERM')
    await exited
  }
  return { http, readyMs, stop, [Symbol.asyncDispose]: stop }
}
