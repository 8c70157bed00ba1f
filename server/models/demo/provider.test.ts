import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Message, ToolCall } from '#core/model/message.ts'
import { collect, instantRetries, sampleRequest } from '../conformance/collect.ts'
import { makeUpstream } from '../upstream.ts'
import { demoProvider } from './provider.ts'

const upstream = makeUpstream()
const provider = demoProvider({ upstream, retry: instantRetries(), now: () => 0 })
const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

async function sampleCopy(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'forge-demo-'))
  folders.push(folder)
  await cp(path.join(import.meta.dirname, 'sample'), folder, { recursive: true })
  return folder
}

const shell = (command: string, cwd: string): Promise<string> =>
  new Promise((resolve) => {
    // A test runner inside a test runner reports to its parent unless it does not know of it.
    const env = { PATH: process.env.PATH, HOME: cwd }
    execFile('bash', ['-c', command], { cwd, env }, (error, stdout, stderr) =>
      resolve(`${stdout}${stderr}\n[exit code ${error?.code ?? 0}]`),
    )
  })

/** The three tools that the demonstration uses, on a folder. */
async function runTool(call: ToolCall, folder: string): Promise<string> {
  const input = call.input as Record<string, string>
  const file = path.join(folder, input.path ?? '')
  if (call.name === 'shell') return shell(input.command ?? '', folder)
  if (call.name === 'read') return readFile(file, 'utf8')
  const text = await readFile(file, 'utf8')
  await writeFile(file, text.replace(input.old ?? '', input.new ?? ''))
  return 'done'
}

/** The agent loop in its shortest form. */
async function work(folder: string, prompt: string): Promise<{ calls: string[]; text: string }> {
  const messages: Message[] = [{ role: 'user', content: [{ type: 'text', text: prompt }] }]
  const names: string[] = []
  for (let turn = 0; turn < 10; turn++) {
    const { finished, error } = await collect(provider, { request: { ...sampleRequest, messages } })
    if (!finished) throw error
    expect(finished.usage.cost).toBe(0)
    const calls = finished.content.filter((block) => block.type === 'tool_call')
    if (calls.length === 0) {
      const texts = finished.content.map((block) => (block.type === 'text' ? block.text : ''))
      return { calls: names, text: texts.join('') }
    }
    names.push(...calls.map((call) => call.name))
    const results = []
    for (const call of calls)
      results.push({
        type: 'tool_result' as const,
        id: call.id,
        content: await runTool(call, folder),
        isError: false,
      })
    messages.push({ role: 'assistant', content: finished.content }, { role: 'user', content: results })
  }
  throw new Error('the demonstration did not come to an end')
}

const prompt = 'The tests of this project fail. Find out why, fix the code, and show that they pass.'

describe('the demonstration model', () => {
  it('fixes the sample project, and says that it is a script', async () => {
    const folder = await sampleCopy()
    expect(await shell('npm test', folder)).toContain('[exit code 1]')
    const { calls, text } = await work(folder, prompt)
    expect(calls).toEqual(['shell', 'read', 'read', 'edit', 'shell'])
    expect(text).toMatch(/All 4 tests pass now/)
    expect(text).toMatch(/a script, no language model/)
    expect(await shell('npm test', folder)).toContain('[exit code 0]')
  })

  it('changes nothing when the tests pass already', async () => {
    const folder = await sampleCopy()
    const file = path.join(folder, 'src/duration.js')
    await writeFile(file, (await readFile(file, 'utf8')).replace('total = Number', 'total += Number'))
    const { calls, text } = await work(folder, prompt)
    expect(calls).toEqual(['shell'])
    expect(text).toMatch(/pass already/)
  })

  it.each([
    ['another project', 'package.json', '"name": "forge-sample"', '"name": "other"', prompt, ['shell']],
    [
      'code that it does not know',
      'src/duration.js',
      'total = Number(amount)',
      'total = 1 * Number(amount)',
      prompt,
      ['shell', 'read', 'read'],
    ],
    ['another task', 'README.md', '', '', 'Write a poem.', []],
  ])('says what it cannot do: %s', async (_what, name, from, to, task, expected) => {
    const folder = await sampleCopy()
    const file = path.join(folder, name)
    await writeFile(file, (await readFile(file, 'utf8')).replace(from, to))
    const { calls, text } = await work(folder, task)
    expect(calls).toEqual(expected)
    expect(text).toMatch(/It can do one thing/)
    expect(text.split('\n').at(-1)).toMatch(/^FAILED: /)
  })
})
