import type { ErrorShape } from '#core/errors.ts'
import { type Event, type EventOf, eventSchemaName } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import type { ModelUsage } from '#core/model/message.ts'
import { addTokens, noTokens, outcomeExit, type RunOutcome } from '#core/run/run.ts'

/** What a client has seen of a run: enough to word an end that the server can't tell it any more. */
export class Tally {
  readonly #run: RunId
  readonly #startedAt: number
  #last = 0
  #tokens = noTokens
  #cost: number | null = 0
  #turns = 0
  #diff: EventOf<'run.finished'>['data']['diff'] = null
  #check: EventOf<'run.finished'>['data']['check'] = null

  constructor(run: RunId, startedAt: number) {
    this.#run = run
    this.#startedAt = startedAt
  }

  see(event: Event): void {
    this.#last = event.seq
    if (event.type === 'message.assistant') {
      this.#turns = Math.max(this.#turns, event.data.turn)
      this.#add(event.data.usage)
    } else if (event.type === 'model.proxied' && event.data.usage) this.#add(event.data.usage)
    else if (event.type === 'workspace.captured') this.#diff = event.data.stat
    else if (event.type === 'check.finished') {
      const { command, exitCode, passed } = event.data
      this.#check = { command, exitCode, passed }
    }
  }

  /** The end of the stream as the client words it: by actor `client`, one after the last event it saw. */
  finish(
    outcome: RunOutcome,
    options: { reason: string; error?: ErrorShape; now: number },
  ): EventOf<'run.finished'> {
    return {
      ...(this.#last === 0 ? { schema: eventSchemaName } : {}),
      run: this.#run,
      seq: this.#last + 1,
      at: new Date(options.now).toISOString(),
      actor: 'client',
      type: 'run.finished',
      data: {
        outcome,
        exitCode: outcomeExit[outcome],
        summary: null,
        reason: options.reason,
        ...(options.error ? { error: options.error } : {}),
        turns: this.#turns,
        tokens: this.#tokens,
        cost: this.#cost,
        diff: this.#diff,
        check: this.#check,
        ms: Math.max(0, options.now - this.#startedAt),
      },
    }
  }

  #add({ tokens, cost }: ModelUsage): void {
    this.#tokens = addTokens(this.#tokens, tokens)
    this.#cost = this.#cost === null || cost === null ? null : this.#cost + cost
  }
}
