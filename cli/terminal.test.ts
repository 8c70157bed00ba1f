import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { type IPty, spawn } from '@lydell/node-pty'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buildProgram, serve, type TestProgram } from './testkit/program.ts'
import { finished, workEvents } from './testkit/script.ts'
import type { TestServer } from './testkit/server.ts'

let program: TestProgram
let server: TestServer

beforeAll(async () => {
  program = await buildProgram()
  server = await serve(program)
  server.sandboxes.cwd = program.home
  await program.run(['sandbox', 'create', '--name', 'box'])
})
afterAll(async () => {
  await server?.kill()
  await program?.[Symbol.asyncDispose]()
})

interface Screen {
  readonly pty: IPty
  text(): string
  /** Resolves when the text has appeared. */
  shows(said: RegExp): Promise<void>
  readonly code: Promise<number>
}

/** A shell line on a real terminal; `forge` in it is the program. */
function onTerminal(line: string, env: Record<string, string> = {}): Screen {
  const forge = `forge() { sh -c 'echo $$ > pid; exec "$0" "$@"' "${process.execPath}" "${program.root}/bin/forge.cjs" "$@"; }`
  const pty = spawn('bash', ['--norc', '-c', `${forge}\n${line}`], {
    cols: 100,
    rows: 30,
    cwd: program.home,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: program.home,
      FORGE_HOME: program.home,
      TERM: 'xterm-256color',
      LC_ALL: 'C.UTF-8',
      ...env,
    },
  })
  let text = ''
  const waiting = new Set<() => void>()
  pty.onData((data) => {
    text += data
    for (const check of waiting) check()
  })
  return {
    pty,
    text: () => text,
    shows: (said) =>
      new Promise((resolve, reject) => {
        const check = () => {
          if (!said.test(text)) return
          waiting.delete(check)
          clearTimeout(limit)
          resolve()
        }
        const limit = setTimeout(() => reject(new Error(`no ${said} in ${JSON.stringify(text)}`)), 15_000)
        waiting.add(check)
        check()
      }),
    code: new Promise((resolve) => pty.onExit(({ exitCode }) => resolve(exitCode))),
  }
}

/** The terminal's settings before and after `line`. */
async function settings(screen: Screen): Promise<[string, string]> {
  await screen.code
  const read = (name: string) => readFile(path.join(program.home, name), 'utf8')
  return [await read('before'), await read('after')]
}
const measured = (line: string) => `stty -a > before; ${line}; echo "[code $?]"; stty -a > after`

describe('forge sandbox shell', () => {
  test('is a shell, takes keys one by one, and gives the terminal back', async () => {
    const screen = onTerminal(measured('forge sandbox shell box'))
    await screen.shows(/[$#] /)
    screen.pty.write('echo $((6*7)); exit 3\r')
    await screen.shows(/[\r\n]42\r\n/)
    await screen.shows(/\[code 3\]/)
    // The far end's line endings come as they are.
    expect(screen.text()).not.toContain('\r\r\n')
    const [before, after] = await settings(screen)
    expect(after).toBe(before)
  })

  test('Ctrl-C belongs to the program in the sandbox', async () => {
    const screen = onTerminal(
      measured(
        `forge sandbox exec -t box -- 'trap "echo caught; exit 9" INT; echo up; while :; do sleep 0.05; done'`,
      ),
    )
    await screen.shows(/up/)
    screen.pty.write('\u0003')
    await screen.shows(/caught\s+\[code 9\]/)
  })

  test.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ])('gives the terminal back on %s', async (signal, code) => {
    const screen = onTerminal(measured('forge sandbox shell box'))
    await screen.shows(/[$#] /)
    process.kill(Number(await readFile(path.join(program.home, 'pid'), 'utf8')), signal)
    await screen.shows(new RegExp(`\\[code ${code}\\]`))
    const [before, after] = await settings(screen)
    expect(after).toBe(before)
  })

  test('gives the terminal back, with its modes, when the server is lost', async () => {
    const screen = onTerminal(measured('forge sandbox shell box'))
    await screen.shows(/[$#] /)
    await server.kill()
    await screen.shows(/connection to the server broke/)
    await server.listen()
    const [before, after] = await settings(screen)
    expect(after).toBe(before)
    expect(screen.text()).toContain('\u001b[?2004l')
    expect(screen.text()).toContain('\u001b[?1049l')
  })
})

describe('forge run on a terminal', () => {
  beforeEach(() => {
    server.runs.onCreate = (run) => server.runs.append(run.id, ...workEvents)
    server.runs.onCancel = () => {}
  })

  test('Ctrl-C cancels and waits; the words are in colour', async () => {
    server.runs.onCancel = (id) => server.runs.append(id, finished('interrupted'))
    const screen = onTerminal('forge run x; echo "[code $?]"')
    await screen.shows(/check passed/)
    screen.pty.write('\u0003')
    await screen.shows(/interrupted/)
    expect(screen.text()).toContain('\u001b[32mcheck passed\u001b[39m')
    expect(server.runs.cancelled.at(-1)?.outcome).toBe('interrupted')
  })

  test('Ctrl-C twice leaves at once', async () => {
    const screen = onTerminal('trap : INT; forge run x; echo "[code $?]"')
    await screen.shows(/check passed/)
    screen.pty.write('\u0003')
    await screen.shows(/once more leaves at once/)
    screen.pty.write('\u0003')
    await screen.shows(/\[code 130\]/)
  })

  test('NO_COLOR is minded', async () => {
    server.runs.onCreate = (run) => server.runs.append(run.id, ...workEvents, finished('done'))
    const screen = onTerminal('forge run x', { NO_COLOR: '1' })
    await screen.code
    expect(screen.text()).not.toContain('\u001b[3')
  })
})
