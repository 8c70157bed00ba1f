import { writeSync } from 'node:fs'
import { connect } from 'node:net'
import { homedir } from 'node:os'
import { isatty } from 'node:tty'
import type { Run } from '#core/run/run.ts'
import type { ServerStatus } from '#core/server/server.ts'
import { runsTable } from './output/runs.ts'
import { statusText } from './output/status.ts'
import { makeStyle, type Style, wantsColour } from './output/style.ts'
import { placesOf } from './program/places.ts'

/** The two commands that prompts and status bars call all the time: no argument parser, no zod, no HTTP library. */
interface Quick {
  readonly path: string
  render(data: unknown, options: { json: boolean; style: Style; width: number }): string | Promise<string>
}

const document = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

const quick: Readonly<Record<string, Quick>> = {
  'runs ls': {
    path: '/trpc/runs.list?input=%7B%22limit%22%3A100%7D',
    render: (data, { json, style, width }) =>
      json ? document(data) : runsTable(data as Run[], { width, style, now: Date.now() }),
  },
  status: {
    path: '/trpc/server.status',
    render: (data, { json, style }) =>
      json ? document({ running: true, ...(data as ServerStatus) }) : statusText(data as ServerStatus, style),
  },
}

/**
 * Starts the program: on the short way where the command line has one of its shapes and the server answers
 * with 200, else on the long way, which also words every error. `load` imports a module by path.
 */
export function start(root: string, argv: readonly string[], load: (file: string) => Promise<unknown>): void {
  const full = () => {
    void load(`${root}/dist/cli.mjs`).then((module) =>
      (module as typeof import('./main.ts')).main(root, argv),
    )
  }
  const json = argv.at(-1) === '--json'
  const found = quick[(json ? argv.slice(0, -1) : argv).join(' ')]
  if (!found) {
    full()
    return
  }
  const { env } = process
  ask(socketOf(env), found.path, (data) => {
    if (data === undefined) {
      full()
      return
    }
    const tty = isatty(1)
    const width = tty ? process.stdout.columns || 80 : 80
    void Promise.resolve(found.render(data, { json, style: makeStyle(wantsColour(env, tty)), width })).then(
      print,
    )
  })
}

/** Undefined where there is something to say about it, which is for the long way. */
function socketOf(env: NodeJS.ProcessEnv): string | undefined {
  try {
    return placesOf({ env, uid: process.geteuid?.() ?? 0, home: homedir(), cwd: process.cwd() }).socket
  } catch {
    return undefined
  }
}

/** One HTTP/1.1 GET on a connection of its own; undefined when the answer is not a 200 with tRPC data. */
function ask(socket: string | undefined, path: string, done: (data: unknown) => void): void {
  if (socket === undefined) {
    done(undefined)
    return
  }
  const chunks: Buffer[] = []
  const connection = connect(socket)
  connection.on('data', (chunk) => chunks.push(chunk))
  connection.on('error', () => connection.destroy())
  connection.on('close', () => done(dataOf(Buffer.concat(chunks).toString('latin1'))))
  connection.write(`GET ${path} HTTP/1.1\r\nhost: forge\r\nconnection: close\r\n\r\n`)
}

/** `answer` holds one character for each byte, so that lengths are right. */
function dataOf(answer: string): unknown {
  const end = answer.indexOf('\r\n\r\n')
  if (end < 0 || !answer.startsWith('HTTP/1.1 200 ')) return undefined
  const head = answer.slice(0, end).toLowerCase()
  const raw = answer.slice(end + 4)
  const body = head.includes('\r\ntransfer-encoding: chunked') ? unchunk(raw) : raw
  const length = /\r\ncontent-length: (\d+)/.exec(head)
  if (length && body.length < Number(length[1])) return undefined
  try {
    return (JSON.parse(Buffer.from(body, 'latin1').toString('utf8')) as { result: { data: unknown } }).result
      .data
  } catch {
    return undefined
  }
}

function unchunk(raw: string): string {
  let body = ''
  for (let at = 0; ; ) {
    const lineEnd = raw.indexOf('\r\n', at)
    const size = Number.parseInt(raw.slice(at, lineEnd), 16)
    if (lineEnd < 0 || !(size > 0)) return body
    body += raw.slice(lineEnd + 2, lineEnd + 2 + size)
    at = lineEnd + 2 + size + 2
  }
}

/** Synchronous, for it is the last thing done; a pipe that is full for the moment is tried again. */
function print(text: string): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code === 'EAGAIN') {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
        continue
      }
      if (code !== 'EPIPE') writeSync(2, `error: the output cannot be written: ${message}\n`)
      process.exitCode = code === 'EPIPE' ? 141 : 1
      return
    }
  }
}
