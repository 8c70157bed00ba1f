import { spawn } from '@lydell/node-pty'
import { program, type World } from './world.ts'

export interface Terminal extends Disposable {
  /** Everything that was written to it so far. */
  text(): string
  type(keys: string): void
  resize(columns: number, rows: number): void
  /** Resolves when the text has appeared after the last one that was waited for. */
  shows(said: RegExp): Promise<string>
  readonly code: Promise<number>
}

/** Milliseconds that a text may take to appear: less than a test's own limit, which would not say what was there. */
const patience = 20_000

/** A shell line on a real terminal of 100 by 30; `forge` in it is the built program of this world. */
export function onTerminal(world: World, line: string, env: Record<string, string> = {}): Terminal {
  const { NO_COLOR: _, ...quiet } = world.env
  const forge = `forge() { "${process.execPath}" "${program}" "$@"; }`
  const pty = spawn('bash', ['--norc', '-c', `${forge}\n${line}`], {
    cols: 100,
    rows: 30,
    cwd: world.dir,
    env: { ...quiet, TERM: 'xterm-256color', LC_ALL: 'C.UTF-8', ...env },
  })
  let text = ''
  let seen = 0
  const waiting = new Set<() => void>()
  pty.onData((data) => {
    text += data
    for (const check of waiting) check()
  })
  const code = new Promise<number>((resolve) => pty.onExit(({ exitCode }) => resolve(exitCode)))
  return {
    text: () => text,
    type: (keys) => pty.write(keys),
    resize: (columns, rows) => pty.resize(columns, rows),
    shows: (said) =>
      new Promise((resolve, reject) => {
        const check = () => {
          const found = said.exec(text.slice(seen))
          if (!found) return
          seen += found.index + found[0].length
          waiting.delete(check)
          clearTimeout(limit)
          resolve(found[0])
        }
        const limit = setTimeout(
          () => reject(new Error(`no ${said} in ${JSON.stringify(text.slice(seen))}`)),
          patience,
        )
        waiting.add(check)
        check()
        void code.then(() => reject(new Error(`ended without ${said}: ${JSON.stringify(text)}`)))
      }),
    code,
    [Symbol.dispose]: () => {
      try {
        pty.kill('SIGKILL')
      } catch {
        // It has ended.
      }
    },
  }
}
