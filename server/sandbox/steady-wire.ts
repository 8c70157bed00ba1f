import { setTimeout as sleep } from 'node:timers/promises'
import { ForgeError } from '#core/errors.ts'
import type { Wire, WireFiles } from './wire/wire.ts'

/** How long a broken wire is tried again before its call is given up, in attempts of `retryMs` milliseconds. */
const attempts = 50
const retryMs = 20

/**
 * A wire over whichever connection is open at the moment. A program inside can end its own sshd, which breaks
 * a connection and nothing else: calls under way then fail with `wire_lost`, later ones use a new connection.
 * Only when `assertAlive` throws is the sandbox itself gone.
 */
export function steadyWire(current: () => Promise<Wire>, assertAlive: () => Promise<void>): Wire {
  /** A sandbox that is being killed breaks its wire first: it is known to live when it takes a new connection. */
  const settle = async (): Promise<void> => {
    for (let attempt = 0; attempt < attempts; attempt++) {
      await assertAlive()
      if (await current().then(Boolean, () => false)) return
      await sleep(retryMs)
    }
  }
  const explain = async (thrown: unknown): Promise<never> => {
    if (!(thrown instanceof ForgeError) || thrown.code !== 'sandbox_lost') throw thrown
    await settle()
    throw new ForgeError(
      'wire_lost',
      'the connection into the sandbox broke; what was under way may or may not have happened',
      {
        cause: thrown,
      },
    )
  }
  const call = <T>(use: (wire: Wire) => Promise<T>): Promise<T> => current().then(use).catch(explain)
  const files: WireFiles = {
    read: (path, maxBytes) => call((wire) => wire.files.read(path, maxBytes)),
    write: (path, content, mode) => call((wire) => wire.files.write(path, content, mode)),
    stat: (path) => call((wire) => wire.files.stat(path)),
    list: (path) => call((wire) => wire.files.list(path)),
    remove: (path) => call((wire) => wire.files.remove(path)),
  }
  return {
    files,
    exec: async (request) => {
      const process = await call((wire) => wire.exec(request))
      return { ...process, kill: (signal) => process.kill(signal), exit: process.exit.catch(explain) }
    },
    run: (request) => call((wire) => wire.run(request)),
    terminal: async (request) => {
      const terminal = await call((wire) => wire.terminal(request))
      return {
        ...terminal,
        resize: (columns, rows) => terminal.resize(columns, rows),
        exit: terminal.exit.catch(explain),
      }
    },
    forwardIn: (port) => call((wire) => wire.forwardIn(port)),
    forwardOut: (port, onConnection) => call((wire) => wire.forwardOut(port, onConnection)),
    close: () => undefined,
    // Never: this one outlives every connection.
    closed: new Promise(() => undefined),
  }
}
