import { expect, test } from 'vitest'
import { z } from 'zod'
import { type ErrorCode, ForgeError } from '#core/errors.ts'
import type { Wire } from '../../sandbox/wire/wire.ts'
import { tools } from './registry.ts'
import { defineTool, type ToolContext } from './tool.ts'

const context: ToolContext = {
  wire: {} as Wire,
  workdir: '/work',
  signal: new AbortController().signal,
  keep: '/tmp/x',
  remaining: () => 1000,
}

const throwing = (thrown: unknown) =>
  defineTool({
    name: 'throwing',
    prompt: 'Takes {{ count }}.',
    facts: { count: 1 },
    input: z.strictObject({ one: z.string(), two: z.number().optional() }),
    readOnly: true,
    run: () => Promise.reject(thrown),
  })

test('what the model can do something about is told, with the hint', async () => {
  for (const code of [
    'not_found',
    'denied',
    'conflict',
    'disk_full',
    'wire_lost',
    'task_failed',
  ] as ErrorCode[]) {
    const outcome = await throwing(new ForgeError(code, 'it broke', { hint: 'mend it' })).run(
      { one: '' },
      context,
    )
    expect(outcome).toEqual({ title: 'it broke', content: 'it broke\nmend it', isError: true })
  }
})

test('what concerns the run is thrown: a lost sandbox, an abort, a bug', async () => {
  const bug = new TypeError('x is undefined')
  await expect(throwing(bug).run({ one: '' }, context)).rejects.toBe(bug)
  for (const code of ['sandbox_lost', 'interrupted', 'internal'] as ErrorCode[])
    await expect(throwing(new ForgeError(code, 'x')).run({ one: '' }, context)).rejects.toMatchObject({
      code,
    })
})

test('arguments that do not fit are named, and nothing is run', async () => {
  const { content } = await throwing(new Error('ran')).run({ two: 'x', three: 3 }, context)
  expect(content).toMatch(/^Nothing was run: the arguments of throwing are not valid\.\n/)
  expect(content).toContain('- one: ')
  expect(content).toContain('- two: ')
  expect(content).toContain('"three"')
  expect(content).toMatch(/Its arguments are: one, two \(optional\)\.$/)
})

test('a prompt that names a fact which is not given is a bug at once', () => {
  expect(() =>
    defineTool({
      name: 'x',
      prompt: '{{ missing }}',
      facts: {},
      input: z.strictObject({}),
      readOnly: true,
      run: () => Promise.reject(new Error('x')),
    }),
  ).toThrow('missing')
})

test('every tool has a name and a schema that all providers take, and a finished description', () => {
  for (const { definition } of tools) {
    expect(definition.name).toMatch(/^[a-z]+$/)
    expect(definition.description).not.toMatch(/[{}]{2}|undefined/)
    expect(definition.inputSchema).toMatchObject({ type: 'object', additionalProperties: false })
    expect(definition.inputSchema).not.toHaveProperty('$schema')
    for (const property of Object.values(definition.inputSchema.properties as object))
      expect(property).toHaveProperty('type')
  }
})
