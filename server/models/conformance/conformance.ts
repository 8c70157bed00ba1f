import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { ModelProvider } from '../provider.ts'
import type { RetryPolicy } from '../retry.ts'
import type { ReactiveScript, ScriptInput } from '../scripted/script.ts'
import { type ScriptedModel, startScriptedModel } from '../scripted/server.ts'
import { makeUpstream, type Upstream, type UpstreamOptions } from '../upstream.ts'
import { collect, instantRetries, sampleRequest } from './collect.ts'

interface MakeOptions {
  /** Of the scripted server, without a path. */
  readonly url: string
  readonly apiKey: string
  readonly upstream: Upstream
  readonly retry: RetryPolicy
}

interface Family {
  readonly name: string
  readonly keyVariable: string
  readonly make: (options: MakeOptions) => ModelProvider
  /** Whether the API gives reasoning that must be given back with the next request. */
  readonly givesReasoningBack: boolean
}

const key = 'sk-very-secret-key'

/** What every provider of a real model API does, proven against the scripted server over real HTTP. */
export function describeModelProvider(family: Family): void {
  const open: { close(): unknown }[] = []
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close()
  })

  async function world(
    script: ScriptInput | ReactiveScript,
    options: { upstream?: UpstreamOptions; retry?: RetryPolicy } = {},
  ): Promise<{ model: ScriptedModel; provider: ModelProvider }> {
    const model = await startScriptedModel(script)
    const upstream = makeUpstream(options.upstream)
    open.push(upstream, model)
    const retry = options.retry ?? instantRetries()
    return { model, provider: family.make({ url: model.url, apiKey: key, upstream, retry }) }
  }

  describe(family.name, () => {
    it('streams text and thinking, tool calls and usage', async () => {
      const { provider, model } = await world({
        turns: [
          {
            thinking: 'First I look around.',
            text: 'I run the tests now, and then we will see.',
            calls: [
              { name: 'shell', input: { command: 'npm test' }, id: 'call_1' },
              { name: 'shell', input: {}, id: 'call_2' },
            ],
            usage: { input: 10, output: 5, cacheRead: 30 },
            chunk: 7,
          },
        ],
      })
      const { finished, text, thinking, chunks, error } = await collect(provider)
      expect(error).toBeUndefined()
      expect(text).toBe('I run the tests now, and then we will see.')
      expect(thinking).toBe('First I look around.')
      expect(chunks.at(-1)).toBe(finished)
      expect(finished).toMatchObject({
        stop: 'tool_calls',
        content: [
          { type: 'thinking', text: 'First I look around.' },
          { type: 'text', text: 'I run the tests now, and then we will see.' },
          { type: 'tool_call', id: 'call_1', name: 'shell', input: { command: 'npm test' } },
          { type: 'tool_call', id: 'call_2', name: 'shell', input: {} },
        ],
        usage: { tokens: { input: 10, output: 5, cacheRead: 30, cacheWrite: 0 } },
      })
      expect(model.requests).toHaveLength(1)
      expect(model.requests[0]).toMatchObject({
        model: provider.id.slice(provider.id.indexOf('/') + 1),
        system: 'You are a test.',
        prompt: 'Begin.',
        tools: ['shell'],
        stream: true,
      })
      expect(model.requests[0]?.headers.authorization).toBe(`Bearer ${key}`)
    })

    it('gives calls, results and reasoning back in the next request', async () => {
      const { provider, model } = await world({
        turns: [
          {
            thinking: 'Hm.',
            text: 'Now.',
            calls: [{ name: 'shell', input: { command: 'ls' }, id: 'call_1' }],
          },
          { text: 'Done.' },
        ],
      })
      const first = await collect(provider)
      const second = await collect(provider, {
        request: {
          ...sampleRequest,
          messages: [
            ...sampleRequest.messages,
            { role: 'assistant', content: first.finished?.content ?? [] },
            {
              role: 'user',
              content: [
                { type: 'tool_result', id: 'call_1', content: 'a.txt', isError: false },
                { type: 'text', text: 'Go on.' },
              ],
            },
          ],
        },
      })
      expect(second.text).toBe('Done.')
      expect(model.requests[1]).toMatchObject({
        turns: 1,
        calls: [{ name: 'shell', input: '{"command":"ls"}', result: 'a.txt' }],
      })
      const body = JSON.stringify(model.requests[1]?.body)
      expect(body).toContain('Go on.')
      if (family.givesReasoningBack) {
        const sealed = ['signed:Hm.', 'sealed:Hm.'].map((text) => Buffer.from(text).toString('base64'))
        expect(sealed.some((text) => body.includes(text))).toBe(true)
      }
    })

    it.each([
      ['max_tokens', 'max_tokens'],
      ['refusal', 'refusal'],
      ['end', 'end'],
    ] as const)('reports the stop reason %s', async (stop, expected) => {
      const { provider } = await world({ turns: [{ text: 'So far.', stop }] })
      expect((await collect(provider)).finished?.stop).toBe(expected)
    })

    it.each([408, 429, 500, 503, 529])('tries again after a %i', async (status) => {
      const slept: number[] = []
      const { provider } = await world(
        { turns: [{ fault: { kind: 'status', status } }, { text: 'Here.' }] },
        { retry: instantRetries(slept) },
      )
      const { text, retries, error } = await collect(provider)
      expect(error).toBeUndefined()
      expect(text).toBe('Here.')
      expect(retries).toMatchObject([{ attempt: 1, status, delayMs: 250 }])
      expect(slept).toEqual([250])
    })

    it('honours retry-after, within bounds', async () => {
      const slept: number[] = []
      const busy = (retryAfter: string) => ({ fault: { kind: 'status' as const, status: 429, retryAfter } })
      const { provider } = await world(
        { turns: [busy('7'), busy('86400'), { text: 'Here.' }] },
        { retry: instantRetries(slept) },
      )
      expect((await collect(provider)).text).toBe('Here.')
      expect(slept).toEqual([7000, 60_000])
    })

    it('gives up after the last attempt', async () => {
      const { provider, model } = await world({
        repeatLast: true,
        turns: [{ fault: { kind: 'status', status: 529, message: 'Overloaded' } }],
      })
      const { error, retries } = await collect(provider)
      expect(error).toMatchObject({
        code: 'model_unavailable',
        message: expect.stringContaining('Overloaded'),
      })
      expect(retries).toHaveLength(2)
      expect(model.requests).toHaveLength(3)
    })

    it.each([400, 401, 403, 404, 413, 422])('does not try again after a %i', async (status) => {
      const { provider, model } = await world({
        repeatLast: true,
        turns: [{ fault: { kind: 'status', status, message: `no, and your key ${key} is known` } }],
      })
      const { error } = await collect(provider)
      expect(error).toMatchObject({ code: 'model_rejected', data: { status } })
      expect(model.requests).toHaveLength(1)
      if (status === 401 || status === 403)
        expect(error).toMatchObject({ hint: expect.stringContaining(family.keyVariable) })
      expect(String(error)).not.toContain(key)
    })

    it.each([
      ['cut off', { kind: 'cut', afterEvents: 4 }],
      ['ended early', { kind: 'end', afterEvents: 4 }],
      ['not even begun', { kind: 'cut', afterEvents: 0 }],
      ['ended by an error event', { kind: 'error', afterEvents: 4 }],
      ['broken JSON', { kind: 'garbage', afterEvents: 4 }],
    ] as const)('tries again when the stream is %s', async (_what, fault) => {
      const { provider } = await world({
        turns: [
          { text: 'This is a text of some length, in several pieces.', chunk: 5, fault },
          { text: 'Whole.' },
        ],
      })
      const { finished, retries, error } = await collect(provider)
      expect(error).toBeUndefined()
      expect(retries).toMatchObject([{ attempt: 1, status: null }])
      expect(finished?.content).toEqual([{ type: 'text', text: 'Whole.' }])
    })

    it('does not try again after an error event that will last', async () => {
      const { provider, model } = await world({
        repeatLast: true,
        turns: [
          {
            text: 'Hello',
            fault: { kind: 'error', afterEvents: 3, type: 'invalid_request_error', message: 'no' },
          },
        ],
      })
      expect((await collect(provider)).error).toMatchObject({ code: 'model_rejected' })
      expect(model.requests).toHaveLength(1)
    })

    it('ends a single event that is too large', async () => {
      const { provider, model } = await world({
        repeatLast: true,
        turns: [{ text: 'x', fault: { kind: 'huge' } }],
      })
      expect((await collect(provider)).error).toMatchObject({
        code: 'model_rejected',
        message: expect.stringContaining('an event of more than 8 MiB'),
      })
      expect(model.requests).toHaveLength(1)
    })

    it('ends an endless stream', async () => {
      const { provider } = await world(
        { turns: [{ text: 'x', fault: { kind: 'endless', bytesPerEvent: 10_000 } }] },
        { upstream: { maxResponseBytes: 1024 * 1024 } },
      )
      expect((await collect(provider)).error).toMatchObject({
        code: 'model_rejected',
        message: expect.stringContaining('a response of more than 1 MiB'),
      })
    })

    it.each([0, 3])('tries again after a silence that begins after %i events', async (afterEvents) => {
      // The timer of the first attempt is due at once, that of the others never.
      let armed = 0
      const { provider } = await world(
        { turns: [{ text: 'x', fault: { kind: 'silence', afterEvents } }, { text: 'Back.' }] },
        {
          upstream: {
            idleMs: 120_000,
            after: (_ms, then) => {
              armed++
              const fires = afterEvents === 0 ? armed === 1 : armed === 3
              const timer = fires ? setTimeout(then, 100) : undefined
              return () => clearTimeout(timer)
            },
          },
        },
      )
      const { finished, retries } = await collect(provider)
      expect(retries).toMatchObject([{ reason: expect.stringContaining('nothing for 120 s') }])
      expect(finished?.content).toEqual([{ type: 'text', text: 'Back.' }])
    })

    it('keeps malformed arguments of a tool call as they came', async () => {
      const { provider } = await world({
        turns: [
          {
            calls: [
              { name: 'shell', rawInput: '{"command": "ls', id: 'a' },
              { name: 'shell', rawInput: '[1]', id: 'b' },
              { name: 'no_such_tool', input: { x: 1 }, id: 'c' },
            ],
          },
        ],
      })
      expect((await collect(provider)).finished?.content).toEqual([
        { type: 'tool_call', id: 'a', name: 'shell', input: null, raw: '{"command": "ls' },
        { type: 'tool_call', id: 'b', name: 'shell', input: null, raw: '[1]' },
        { type: 'tool_call', id: 'c', name: 'no_such_tool', input: { x: 1 } },
      ])
    })

    it('bounds what it keeps of malformed arguments', async () => {
      const rawInput = `{"x": "${'y'.repeat(200_000)}`
      const { provider } = await world({ turns: [{ calls: [{ name: 'shell', rawInput }], chunk: 50_000 }] })
      const call = (await collect(provider)).finished?.content[0]
      expect(call?.type === 'tool_call' && call.raw?.length).toBe(64 * 1024)
    })

    it('stops at once when it is aborted, in the stream and between attempts', async () => {
      const abort = new AbortController()
      const { provider } = await world({ turns: [{ text: 'x', fault: { kind: 'endless' } }] })
      let error: unknown
      try {
        for await (const chunk of provider.stream(sampleRequest, abort.signal))
          if (chunk.kind === 'delta') abort.abort()
      } catch (thrown) {
        error = thrown
      }
      expect(error).toMatchObject({ code: 'interrupted' })

      const waiting = new AbortController()
      const policy: RetryPolicy = {
        ...instantRetries(),
        sleep: (_ms, signal) =>
          new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      }
      const busy = await world(
        { repeatLast: true, turns: [{ fault: { kind: 'status', status: 529 } }] },
        { retry: policy },
      )
      const collected = collect(busy.provider, { signal: waiting.signal })
      setImmediate(() => waiting.abort())
      expect((await collected).error).toMatchObject({ code: 'interrupted' })
      const before = await collect(busy.provider, { signal: AbortSignal.abort() })
      expect(before.error).toMatchObject({ code: 'interrupted' })
    })

    it('says which URL it cannot reach, without the credentials in it', async () => {
      const closed = createServer().listen(0, '127.0.0.1')
      await new Promise((resolve) => closed.once('listening', resolve))
      const { port } = closed.address() as { port: number }
      await new Promise((resolve) => closed.close(resolve))
      const upstream = makeUpstream()
      open.push(upstream)
      const provider = family.make({
        url: `http://user:hunter2@127.0.0.1:${port}`,
        apiKey: key,
        upstream,
        retry: instantRetries([], 2),
      })
      const { error, retries } = await collect(provider)
      expect(retries).toHaveLength(1)
      expect(error).toMatchObject({
        code: 'model_unavailable',
        message: expect.stringContaining(`http://127.0.0.1:${port}`),
      })
      expect(JSON.stringify([error, String(error), retries])).not.toContain('hunter2')
    })
  })
}
