import { writeSync } from 'node:fs'
import { connect } from 'node:net'
import { homedir } from 'node:os'
import { isatty } from 'node:tty'
import type { Run } from '#core/run/run.ts'
import type { ServerStatus } from '#core/server/server.ts'
import type { Style } from './output/style.ts'
import { placesOf } from './program/places.ts'

type Render = (data: unknown, options: { style: Style; width: number }) => string | Promise<string>

/** The two commands that prompts and status bars call all the time: no argument parser, no zod, no HTTP library. */
interface Quick {
  readonly path: string
  /** Called while the server works. */
  load(): Promise<Render>
  json(data: unknown): unknown
}

const document = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

const quick: Readonly<Record<string, Quick>> = {
  'runs ls': {
    path: '/trpc/runs.list?input=%7B%22limit%22%3A100%7D',
    async load() {
      const { runsTable } = await import('./output/runs.ts')
      return (data, { style, width }) => runsTable(data as Run[], { width, style, now: Date.now() })
    },
    json: (data) => data,
  },
  status: {
    path: '/trpc/server.status',
    async load() {
      const { statusText } = await import('./output/status.ts')
      return (data, { style }) => statusText(data as ServerStatus, style)
    },
    json: (data) => ({ running: true, ...(data as ServerStatus) }),
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
  let loading: Promise<Loaded> | undefined
  const onSent = () => {
    if (!json) loading = Promise.all([found.load(), import('./output/style.ts')])
  }
  void ask(socketOf(process.env), found.path, onSent).then(async (data) => {
    if (data === undefined) return full()
    print(loading ? await show(data, await loading) : document(found.json(data)))
    // Nothing is under way any more: taking the process down piece by piece would only take time.
    process.exit()
  })
}

type Loaded = [render: Render, style: typeof import('./output/style.ts')]

function show(data: unknown, [render, { makeStyle, wantsColour }]: Loaded): string | Promise<string> {
  const tty = isatty(1)
  const width = tty ? process.stdout.columns || 80 : 80
  return render(data, { style: makeStyle(wantsColour(process.env, tty)), width })
}

/** Undefined where there is something to say about it, which is for the long way. */
function socketOf(env: NodeJS.ProcessEnv): string | undefined {
  try {
    return placesOf({ env, uid: process.geteuid?.() ?? 0, home: homedir(), cwd: process.cwd() }).socket
  } catch {
    return undefined
  }
}

/** One HTTP/1.1 GET on a connection of its own; undefined when the answer is not a whole 200 with tRPC data. */
function ask(socket: string | undefined, path: string, onSent: () => void): Promise<unknown> {
  if (socket === undefined) return Promise.resolve(undefined)
  return new Promise((resolve) => {
    // One character for each byte, so that lengths are right.
    let answer = ''
    const connection = connect(socket)
    connection.setEncoding('latin1')
    connection.on('data', (text: string) => {
      answer += text
      const body = bodyOf(answer)
      if (body !== undefined) resolve(dataOf(body))
    })
    connection.on('error', () => connection.destroy())
    connection.on('close', () => resolve(undefined))
    connection.write(`GET ${path} HTTP/1.1\r\nhost: forge\r\nconnection: close\r\n\r\n`)
    // After the request in the order of listeners, so that the server has it first.
    connection.on('connect', onSent)
  })
}

/** The body of a 200, once all of it is there. */
function bodyOf(answer: string): string | undefined {
  const end = answer.indexOf('\r\n\r\n')
  if (end < 0 || !answer.startsWith('HTTP/1.1 200 ')) return undefined
  const head = answer.slice(0, end).toLowerCase()
  const raw = answer.slice(end + 4)
  if (head.includes('\r\ntransfer-encoding: chunked'))
    return raw.endsWith('\r\n0\r\n\r\n') ? unchunk(raw) : undefined
  const length = /\r\ncontent-length: (\d+)/.exec(head)
  return length && raw.length >= Number(length[1]) ? raw : undefined
}

function dataOf(body: string): unknown {
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
