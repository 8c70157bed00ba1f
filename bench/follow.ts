import { fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { pino } from 'pino'
import { ForgeError } from '#core/errors.ts'
import type { RunId } from '#core/id.ts'
import type { Context } from '#core/trpc.ts'
import { fileBlobs } from '#server/ledger/file-blobs.ts'
import type { Ledger } from '#server/ledger/ledger.ts'
import { httpServer } from '#server/transport/http.ts'
import type { Benchmark } from './benchmark.ts'
import { delta, type LedgerRig, ledgerRig } from './ledger-rig.ts'
import { inTurns, sampleOf } from './measure.ts'
import type { Seen } from './subscriber.ts'

const ms = (from: bigint, to: bigint): number => Number(to - from) / 1e6

/** Waits for the arrival of the event with a seq, as the clock that all processes share saw it. */
class Arrivals {
  readonly #waiting = new Map<number, (at: bigint) => void>()

  at(seq: number): Promise<bigint> {
    return new Promise((resolve) => this.#waiting.set(seq, resolve))
  }

  saw({ seq, at }: Seen): void {
    this.#waiting.get(seq)?.(BigInt(at))
    this.#waiting.delete(seq)
  }
}

/** The server's transport over the ledger alone: what a client gets of a run, without the rest of a run. */
async function serve(ledger: Ledger, socket: string): Promise<AsyncDisposable> {
  const absent = () => {
    throw new ForgeError('internal', 'only the events are served')
  }
  const nothing = new Proxy({}, { get: () => absent }) as never
  const follow = ledger.follow.bind(ledger)
  const runs = {
    follow,
    create: absent,
    list: absent,
    get: absent,
    cancel: absent,
    events: absent,
    diff: absent,
  }
  const context: Context = {
    actor: 'user:bench',
    runs,
    config: nothing,
    sandboxes: nothing,
    server: nothing,
  }
  const http = await httpServer({
    context,
    blobs: fileBlobs(`${socket}.blobs`),
    openWire: absent,
    log: pino({ level: 'silent' }),
    uid: process.geteuid?.() ?? -1,
    health: () => ({ ok: true }),
  })
  await http.listen(socket)
  return { [Symbol.asyncDispose]: () => http.close() }
}

async function subscriber(socket: string, run: RunId, arrivals: Arrivals) {
  const child = fork(path.join(import.meta.dirname, 'subscriber.ts'), [socket, run])
  const [ready] = await once(child, 'message')
  if (ready !== 'ready') throw new Error(`the subscriber says ${JSON.stringify(ready)}`)
  child.on('message', (seen) => arrivals.saw(seen as Seen))
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** A NOTIFY in a transaction of its own on one connection, heard on another. */
async function bareNotify({ store }: LedgerRig) {
  let heard: (at: bigint) => void = () => undefined
  const listener = store.connect({
    name: 'listen',
    max: 1,
    onNotify: () => heard(process.hrtime.bigint()),
  })
  await listener`LISTEN bench`
  const sender = store.connect({ name: 'notify', max: 1 })
  return {
    async round(withRow: RunId | null, seq: number): Promise<number> {
      const arrived = new Promise<bigint>((resolve) => {
        heard = resolve
      })
      const began = process.hrtime.bigint()
      if (withRow === null) await sender`SELECT pg_notify('bench', 'x')`
      else {
        const { actor, type, data } = delta(seq)
        await sender`WITH row AS (
          INSERT INTO events (run_id, seq, at, actor, type, data, batch)
          VALUES (${withRow}, ${seq}, now(), ${actor}, ${type}, ${JSON.stringify(data)}::text::jsonb, 1))
          SELECT pg_notify('bench', 'x')`
      }
      return ms(began, await arrived)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([sender.end(), listener.end()])
    },
  }
}

export const benchmark: Benchmark = {
  name: 'follow',
  about: 'from the writing of an event to a subscriber that has it',
  async run(place) {
    await using rig = await ledgerRig(place)
    const { ledger } = rig
    const run = await rig.newRun()
    const rowRun = await rig.newRun()
    const controller = new AbortController()
    const local = new Arrivals()
    const remote = new Arrivals()
    const follow = async () => {
      for await (const item of ledger.follow(run, 0, controller.signal))
        if (item.kind === 'item') local.saw({ seq: item.item.seq, at: String(process.hrtime.bigint()) })
    }
    const socket = path.join(place.scratch, 'run/sock')
    await using _http = await serve(ledger, socket)
    let seq = 1
    let rowSeq = 1
    const afterCommit: number[] = []
    const append = async (arrivals: Arrivals) => {
      seq += 1
      const arrived = arrivals.at(seq)
      const began = process.hrtime.bigint()
      await ledger.append(run, [delta(seq)])
      const committed = process.hrtime.bigint()
      const at = await arrived
      if (arrivals === remote) afterCommit.push(ms(committed, at))
      return ms(began, at)
    }
    const warmUp = 30
    const following = follow()
    try {
      await using _client = await subscriber(socket, run, remote)
      await using bare = await bareNotify(rig)
      const found = await inTurns(
        {
          notify: () => bare.round(null, 0),
          rowAndNotify: () => bare.round(rowRun, ++rowSeq),
          inProcess: () => append(local),
          client: () => append(remote),
        },
        { times: 300, warmUp },
      )
      const durable = {
        peer: 'INSERT of the row and NOTIFY, to LISTEN',
        peerSample: found.rowAndNotify,
        unit: 'ms',
        bound: { kind: 'at most', ratio: 2 },
      } as const
      return {
        comparisons: [
          { ours: 'append to ledger.follow in the same process', oursSample: found.inProcess, ...durable },
          { ours: 'append to a client in another process', oursSample: found.client, ...durable },
          {
            ours: 'commit known to the server, to a client in another process',
            oursSample: sampleOf(afterCommit.slice(warmUp)),
            ...durable,
            peer: 'NOTIFY alone, to LISTEN',
            peerSample: found.notify,
          },
        ],
        notes: [
          'ledger.follow in the same process has the event before append says that it is committed',
          'NOTIFY alone writes nothing that must be durable',
        ],
      }
    } finally {
      controller.abort()
      await following
    }
  },
}
