import { Event, type EventData, type EventDraft, type EventType } from '#core/event/event.ts'
import { RunId } from '#core/id.ts'
import { RunLimits } from '#core/run/run.ts'
import { anthropicProvider } from '../models/anthropic/provider.ts'
import { Meter } from '../models/meter.ts'
import { chatProvider } from '../models/openai/chat.ts'
import { responsesProvider } from '../models/openai/responses.ts'
import { builtInPrices } from '../models/prices.ts'
import type { ModelProvider } from '../models/provider.ts'
import { defaultRetryPolicy } from '../models/retry.ts'
import type { ReactiveScript, ScriptedRequest, ScriptInput } from '../models/scripted/script.ts'
import { startScriptedModel } from '../models/scripted/server.ts'
import { makeUpstream } from '../models/upstream.ts'
import { runAgent } from './loop.ts'
import type { AgentOptions } from './options.ts'
import type { AgentResult } from './result.ts'
import type { TestSandbox } from './test-sandbox.ts'

const testRun = RunId.parse('run_0000000000')

/** A ledger in memory that takes only what the contract allows. */
export class TestLedger {
  readonly events: Event[] = []

  readonly record = async (draft: EventDraft): Promise<Event> => {
    const at = new Date(1_700_000_000_000 + this.events.length).toISOString()
    const event = Event.parse({ run: testRun, seq: this.events.length + 1, at, ...draft })
    this.events.push(event)
    return event
  }

  of<T extends EventType>(type: T): EventData<T>[] {
    return this.events.filter((event) => event.type === type).map((event) => event.data as EventData<T>)
  }
}

export type Api = 'anthropic' | 'chat' | 'responses'

interface Played {
  readonly result: AgentResult
  readonly ledger: TestLedger
  /** What the model server was asked. */
  readonly requests: readonly ScriptedRequest[]
}

interface Playing extends Partial<Omit<AgentOptions, 'limits'>> {
  readonly api?: Api
  readonly limits?: Partial<RunLimits>
  readonly ledger?: TestLedger
}

const makers = { anthropic: anthropicProvider, chat: chatProvider, responses: responsesProvider }

function modelAt(url: string, api: Api = 'anthropic'): ModelProvider & { close(): void } {
  const upstream = makeUpstream()
  const provider = makers[api]({
    model: api === 'anthropic' ? 'claude-sonnet-4-6' : 'gpt-5',
    apiKey: 'test-key',
    baseUrl: api === 'anthropic' ? url : `${url}/v1`,
    prices: builtInPrices,
    upstream,
    retry: { ...defaultRetryPolicy, attempts: 3, sleep: async () => undefined },
    now: Date.now,
  })
  return {
    id: provider.id,
    stream: (request, signal) => provider.stream(request, signal),
    close: () => upstream.close(),
  }
}

/** One run of the real loop: real wire formats to a scripted model server, a real wire to real tools. */
export async function play(
  sandbox: TestSandbox,
  script: ScriptInput | ReactiveScript,
  { api, limits, ledger = new TestLedger(), ...options }: Playing = {},
): Promise<Played> {
  const server = await startScriptedModel(script)
  const model = modelAt(server.url, api)
  const runLimits = RunLimits.parse(limits ?? {})
  try {
    const result = await runAgent({
      model,
      wire: sandbox.wire,
      workdir: sandbox.workdir,
      outputFolder: sandbox.outputFolder,
      prompt: 'Do the task.',
      actor: 'user:test',
      record: ledger.record,
      meter: new Meter(runLimits),
      limits: runLimits,
      maxOutputTokens: 4096,
      instructions: { files: [], nested: [] },
      allow: [],
      signal: new AbortController().signal,
      deadline: Date.now() + runLimits.timeout * 1000,
      clock: { now: Date.now },
      ...options,
    })
    return { result, ledger, requests: server.requests }
  } finally {
    model.close()
    await server.close()
  }
}

/** Scripted answers, one after the other. */
export const turns = (...answers: ScriptInput['turns']): ScriptInput => ({ turns: answers })

export const call = (name: string, input: Record<string, unknown>) => ({ name, input })
export const sh = (command: string) => ({ calls: [call('shell', { command })] })
