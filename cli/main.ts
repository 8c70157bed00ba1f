import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isatty } from 'node:tty'
import type { Host } from './host.ts'
import { Sink } from './output/sink.ts'
import { runProgram } from './program/program.ts'

const signalled = (signal: NodeJS.Signals, handler: () => void): (() => void) => {
  process.on(signal, handler)
  return () => {
    process.off(signal, handler)
  }
}

const windowSize = (): { columns: number; rows: number } => {
  const [columns, rows] = isatty(1)
    ? process.stdout.getWindowSize()
    : isatty(2)
      ? process.stderr.getWindowSize()
      : [80, 24]
  return { columns: columns || 80, rows: rows || 24 }
}

/** process.exit() waits for the thread pool, where a write to a stalled reader may hang for ever. */
function leave(code: number, pending: boolean): never {
  if (pending) {
    const signal = code === 130 ? 'SIGINT' : code === 143 ? 'SIGTERM' : 'SIGKILL'
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  }
  process.exit(code)
}

function makeHost(root: string): Host {
  const stdout = new Sink(1)
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string }
  return {
    root,
    version,
    env: process.env,
    cwd: process.cwd(),
    home: homedir(),
    uid: process.geteuid?.() ?? 0,
    node: process.execPath,
    get stdin() {
      return process.stdin
    },
    stdout,
    stderr: new Sink(2),
    tty: { stdin: isatty(0), stdout: isatty(1), stderr: isatty(2) },
    size: windowSize,
    onResize: (handler) => signalled('SIGWINCH', () => handler(windowSize())),
    onSignal: signalled,
    onExit: (handler) => {
      process.on('exit', handler)
      return () => {
        process.off('exit', handler)
      }
    },
    exit: (code) => leave(code, stdout.pending),
    now: Date.now,
  }
}

/** Called by `bin/forge.cjs` with the package's folder and the words after the program's name. */
export async function main(root: string, argv: readonly string[]): Promise<void> {
  const host = makeHost(root)
  const code = await runProgram(host, argv)
  if (code === undefined) return
  // Notes are not waited for where they are written; a stalled terminal must not keep us for their sake.
  await Promise.race([host.stderr.drain(), sleep(500)])
  host.exit(code)
}
