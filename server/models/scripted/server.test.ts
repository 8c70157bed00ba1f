import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import type { ReactiveScript, ScriptInput } from './script.ts'
import { type ScriptedModel, startScriptedModel } from './server.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

async function serve(
  script: ScriptInput | ReactiveScript,
): Promise<ScriptedModel & { anthropic: Anthropic; openai: OpenAI }> {
  const model = await startScriptedModel(script)
  open.push(() => model.close())
  return Object.assign(model, {
    anthropic: new Anthropic({ apiKey: 'any', baseURL: model.url, maxRetries: 0 }),
    openai: new OpenAI({ apiKey: 'any', baseURL: `${model.url}/v1`, maxRetries: 0 }),
  })
}

const turn = {
  thinking: 'Which command?',
  text: 'I look around.',
  calls: [{ name: 'shell', input: { command: 'ls -l', n: [1, { a: null }] }, id: 'call_1' }],
  usage: { input: 11, output: 7, cacheRead: 5, cacheWrite: 3 },
  chunk: 3,
}
const asked = { role: 'user' as const, content: 'Go' }
const message = { model: 'm', max_tokens: 10, messages: [asked] }

describe('the scripted model as the real SDKs see it', () => {
  it('Anthropic Messages', async () => {
    const { anthropic } = await serve({ turns: [turn], repeatLast: true })
    const expected = {
      model: 'm',
      role: 'assistant',
      stop_reason: 'tool_use',
      content: [
        { type: 'thinking', thinking: 'Which command?', signature: expect.any(String) },
        { type: 'text', text: 'I look around.' },
        { type: 'tool_use', id: 'call_1', name: 'shell', input: turn.calls[0]?.input },
      ],
      usage: {
        input_tokens: 11,
        output_tokens: 7,
        cache_read_input_tokens: 5,
        cache_creation_input_tokens: 3,
      },
    }
    const events = new Set<string>()
    const stream = anthropic.messages.stream(message)
    stream.on('streamEvent', (event) => events.add(event.type))
    expect(await stream.finalMessage()).toMatchObject(expected)
    expect([...events]).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
    expect(await anthropic.messages.create(message)).toMatchObject(expected)
  })

  it('OpenAI Chat Completions', async () => {
    const { openai } = await serve({ turns: [turn], repeatLast: true })
    const expected = {
      choices: [
        {
          finish_reason: 'tool_calls',
          message: {
            content: 'I look around.',
            tool_calls: [
              { id: 'call_1', function: { name: 'shell', arguments: JSON.stringify(turn.calls[0]?.input) } },
            ],
          },
        },
      ],
      usage: { prompt_tokens: 16, completion_tokens: 7, prompt_tokens_details: { cached_tokens: 5 } },
    }
    const body = { model: 'm', messages: [asked] }
    const stream = openai.chat.completions.stream({ ...body, stream_options: { include_usage: true } })
    expect(await stream.finalChatCompletion()).toMatchObject(expected)
    expect(await openai.chat.completions.create(body)).toMatchObject(expected)
    const without = await openai.chat.completions.stream(body).finalChatCompletion()
    expect(without.usage).toBeFalsy()
  })

  it('OpenAI Responses', async () => {
    const { openai } = await serve({ turns: [turn], repeatLast: true })
    const expected = {
      status: 'completed',
      output: [
        {
          type: 'reasoning',
          summary: [{ text: 'Which command?' }],
          encrypted_content: expect.any(String),
        },
        { type: 'message', content: [{ type: 'output_text', text: 'I look around.' }] },
        {
          type: 'function_call',
          call_id: 'call_1',
          name: 'shell',
          arguments: JSON.stringify(turn.calls[0]?.input),
        },
      ],
      usage: { input_tokens: 19, output_tokens: 7, input_tokens_details: { cached_tokens: 5 } },
    }
    const stream = openai.responses.stream({ model: 'm', input: 'Go' })
    let streamed = ''
    stream.on('response.output_text.delta', (event) => {
      streamed += event.delta
    })
    expect(await stream.finalResponse()).toMatchObject(expected)
    expect(streamed).toBe('I look around.')
    expect(await openai.responses.create({ model: 'm', input: 'Go' })).toMatchObject(expected)
  })

  it.each([401, 404, 429, 529])('faults with status %i in the words of each API', async (status) => {
    const { anthropic, openai } = await serve({
      repeatLast: true,
      turns: [{ fault: { kind: 'status', status, retryAfter: '9', message: 'because' } }],
    })
    for (const failing of [
      anthropic.messages.create(message),
      openai.chat.completions.create({ model: 'm', messages: [asked] }),
      openai.responses.create({ model: 'm', input: 'Go' }),
    ])
      await expect(failing).rejects.toMatchObject({ status, message: expect.stringContaining('because') })
  })
})

describe('which turn comes next', () => {
  it('is the next one for each request, and an error after the last', async () => {
    const { anthropic, requests } = await serve({ turns: [{ text: 'one' }, { text: 'two' }] })
    const say = async () => (await anthropic.messages.create(message)).content[0]
    expect(await say()).toMatchObject({ text: 'one' })
    expect(await say()).toMatchObject({ text: 'two' })
    await expect(say()).rejects.toMatchObject({ status: 400, message: expect.stringContaining('has ended') })
    expect(requests).toHaveLength(3)
  })

  it('can follow each conversation by itself, in every API', async () => {
    const { anthropic, openai } = await serve({
      by: 'conversation',
      turns: [{ text: 'one' }, { text: 'two' }],
    })
    const said = { role: 'assistant' as const, content: 'one' }
    const messages = [asked, said, asked]
    for (let round = 0; round < 2; round++) {
      expect((await anthropic.messages.create(message)).content).toMatchObject([{ text: 'one' }])
      expect((await anthropic.messages.create({ ...message, messages })).content).toMatchObject([
        { text: 'two' },
      ])
      const chat = await openai.chat.completions.create({ model: 'm', messages })
      expect(chat.choices[0]?.message.content).toBe('two')
      const response = await openai.responses.create({ model: 'm', input: messages })
      expect(response.output_text).toBe('two')
    }
  })

  it('can be a function of the request', async () => {
    const { anthropic } = await serve(({ prompt, turns }, index) => ({ text: `${prompt} ${turns} ${index}` }))
    expect((await anthropic.messages.create(message)).content).toMatchObject([{ text: 'Go 0 0' }])
  })

  it('refuses a script that is none', async () => {
    await expect(startScriptedModel({ turns: [] })).rejects.toThrow()
  })
})

describe('the scripted model as a process', () => {
  it('prints its URL first and ends on SIGTERM', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'forge-scripted-'))
    open.push(() => rm(folder, { recursive: true }))
    const file = path.join(folder, 'script.json')
    await writeFile(file, JSON.stringify({ turns: [{ text: 'Hello.' }] }))
    const main = path.join(import.meta.dirname, 'main.ts')
    const child = spawn(process.execPath, [main, file, '--port', '0', '--model', 'mine'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    open.push(() => child.kill('SIGKILL'))
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const { url } = JSON.parse(line) as { url: string }
    const anthropic = new Anthropic({ apiKey: 'any', baseURL: url, maxRetries: 0 })
    expect((await anthropic.messages.create(message)).content).toMatchObject([{ text: 'Hello.' }])
    expect((await anthropic.models.list()).data[0]?.id).toBe('mine')
    child.kill('SIGTERM')
    expect(await exited).toEqual([0, null])
  })
})
