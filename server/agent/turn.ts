import { type ErrorCode, ForgeError } from '#core/errors.ts'
import type { AssistantBlock } from '#core/model/message.ts'
import type { ModelChunk, ModelRequest } from '../models/provider.ts'
import { Deltas } from './deltas.ts'
import { assertGoesOn, untilAborted } from './interruption.ts'
import type { Session } from './session.ts'

type Answer = Extract<ModelChunk, { kind: 'finished' }>

/** Characters streamed in one answer: far beyond any model's longest, so a stream that never ends does end. */
const maxAnswerChars = 8_000_000

const maxTightenings = 4

/** One request and its answer, recorded. Throws `budget_spent`, what the provider throws, and the reason of an abort. */
export async function takeTurn(session: Session): Promise<void> {
  const { history, options, requests } = session
  options.meter.assertWithin()
  const turn = history.turn + 1
  const began = options.clock.now()
  const answer = await askFitting(session, turn)
  options.meter.record(answer.usage)
  await session.record({
    actor: 'agent',
    type: 'message.assistant',
    data: {
      turn,
      content: withOwnIds(answer.content, { turn, used: history.callIds }),
      stop: answer.stop,
      usage: answer.usage,
      ms: options.clock.now() - began,
    },
  })

  async function askFitting(session: Session, turn: number): Promise<Answer> {
    for (let tightened = 0; ; tightened++) {
      try {
        return await ask(session, turn, requests.next(history))
      } catch (thrown) {
        if (!isTooLong(thrown) || tightened === maxTightenings || !requests.tighten(history)) throw thrown
      }
    }
  }
}

async function ask(session: Session, turn: number, request: ModelRequest): Promise<Answer> {
  const { signal, options } = session
  assertGoesOn(signal)
  const deltas = new Deltas((kind, text) =>
    session.record({ actor: 'agent', type: 'message.delta', data: { turn, kind, text } }),
  )
  const chunks = options.model.stream(request, signal)[Symbol.asyncIterator]()
  let streamed = 0
  try {
    for (;;) {
      const { value: chunk, done } = await untilAborted(chunks.next(), signal)
      if (done === true) throw new ForgeError('model_unavailable', 'the answer ended before it was finished')
      if (chunk.kind === 'finished') return chunk
      if (chunk.kind === 'retry') {
        streamed = 0
        await deltas.end()
        const { attempt, delayMs, status, reason } = chunk
        await session.record({
          actor: 'server',
          type: 'model.retried',
          data: { attempt, delayMs, status, reason },
        })
        continue
      }
      streamed += chunk.text.length
      if (streamed > maxAnswerChars)
        throw new ForgeError('model_rejected', `the answer is longer than ${maxAnswerChars} characters`)
      await deltas.push(chunk.of, chunk.text)
    }
  } finally {
    await deltas.end()
    chunks.return?.().catch(() => undefined)
  }
}

const tooLong = /too long|too many (input )?tokens|context.{0,20}(length|window|limit)|maximum context/i
const refusals: readonly ErrorCode[] = ['model_rejected', 'too_large']

const isTooLong = (thrown: unknown): boolean =>
  thrown instanceof ForgeError && refusals.includes(thrown.code) && tooLong.test(thrown.message)

/**
 * Tool calls with ids that are unique in the run and that every provider takes back; some servers number
 * the calls of each answer anew, or give two calls one id. Names are made fit to be sent back, too.
 */
function withOwnIds(
  content: readonly AssistantBlock[],
  { turn, used }: { turn: number; used: ReadonlySet<string> },
): AssistantBlock[] {
  const taken = new Set(used)
  let place = 0
  return content.map((block) => {
    if (block.type !== 'tool_call') return block
    place += 1
    const fits = /^[A-Za-z0-9_-]{1,64}$/.test(block.id) && !taken.has(block.id)
    const id = fits ? block.id : `call_${turn}_${place}`
    taken.add(id)
    return { ...block, id, name: block.name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 64) || '_' }
  })
}
