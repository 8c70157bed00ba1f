import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { settings } from '#core/config/settings.ts'
import { loadConfig } from './load.ts'
import { configService } from './service.ts'

async function place(files: Record<string, unknown> = {}, env: Record<string, string> = {}) {
  const dir = await mkdtemp(path.join(tmpdir(), 'forge-config-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files))
    await writeFile(path.join(dir, name), typeof content === 'string' ? content : JSON.stringify(content), {
      mode: 0o600,
    })
  return { dir, env }
}

const json = async (...parts: string[]): Promise<unknown> =>
  JSON.parse(await readFile(path.join(...parts), 'utf8'))

test('defaults, file and environment, the environment winning, each with its source', async () => {
  const at = await place(
    {
      'config.json': { run: { maxTurns: 5, timeout: 60 }, model: { default: 'openai/x' } },
      'secrets.json': { model: { anthropic: { apiKey: 'from-file' } } },
    },
    { FORGE_MODEL: 'anthropic/y', FORGE_RUN_MAX_TURNS: '7', OPENAI_API_KEY: 'from-env', OPENAI_BASE_URL: '' },
  )
  const { config, sources } = await loadConfig(at)
  expect(config.run).toMatchObject({ maxTurns: 7, timeout: 60 })
  expect(config.model.default).toBe('anthropic/y')
  expect(config.model.anthropic.apiKey).toBe('from-file')
  expect(config.model.openai).toEqual({ apiKey: 'from-env' })
  const source = (id: string) => sources.get(id)
  expect(['run.maxTurns', 'run.timeout', 'model.openai.baseUrl'].map(source)).toEqual([
    'environment',
    'file',
    'default',
  ])
})

test('no directory at all means the defaults', async () => {
  const { config } = await loadConfig({ dir: '/nonexistent/forge', env: {} })
  expect(config.run.maxTurns).toBe(16)
})

test.each([
  [
    'the key nobody knows',
    { 'config.json': { model: { defualt: 'x' } } },
    /config\.json: model\.defualt is no setting/,
  ],
  ['a key called __proto__', { 'config.json': '{"__proto__": {"run": 1}}' }, /__proto__ is no setting/],
  ['a value instead of a section', { 'config.json': { run: 3 } }, /run must be an object/],
  ['a bad value', { 'config.json': { run: { maxTurns: 'many' } } }, /config\.json: run\.maxTurns: .*number/],
  ['a value out of range', { 'config.json': { run: { maxTurns: 0 } } }, /run\.maxTurns: .*>=1/],
  ['a bad pattern', { 'config.json': { egress: { allow: ['http://x'] } } }, /egress\.allow: .*"http:\/\/x"/],
  [
    'a secret in the open',
    { 'config.json': { store: { databaseUrl: 'x' } } },
    /store\.databaseUrl belongs in secrets\.json/,
  ],
  ['no secret', { 'secrets.json': { run: { maxTurns: 1 } } }, /run\.maxTurns belongs in config\.json/],
  [
    'half a file',
    { 'secrets.json': '{"store": {"databaseUrl": "s3cret"' },
    /secrets\.json is not valid JSON/,
  ],
])('config_invalid names the file and the key: %s', async (_name, files, message) => {
  const error = await loadConfig(await place(files)).catch((thrown) => thrown)
  expect(error).toMatchObject({ code: 'config_invalid', message: expect.stringMatching(message) })
  expect(JSON.stringify(error.toShape())).not.toContain('s3cret')
})

test('a bad variable is named', async () => {
  await expect(loadConfig(await place({}, { FORGE_RUN_MAX_TURNS: 'x' }))).rejects.toMatchObject({
    code: 'config_invalid',
    message: 'the environment variable FORGE_RUN_MAX_TURNS: expected a number',
  })
  await expect(loadConfig(await place({}, { ANTHROPIC_BASE_URL: 'nope' }))).rejects.toThrow(
    /ANTHROPIC_BASE_URL: model\.anthropic\.baseUrl: .*URL/,
  )
})

test('secrets that others may read are refused with the way to mend it', async () => {
  const at = await place({ 'secrets.json': { store: { databaseUrl: 'postgres://x' } } })
  for (const mode of [0o640, 0o604, 0o620]) {
    await chmod(path.join(at.dir, 'secrets.json'), mode)
    await expect(loadConfig(at)).rejects.toMatchObject({
      code: 'config_invalid',
      hint: `chmod 600 ${at.dir}/secrets.json`,
    })
  }
})

test('set parses by type, writes the file, and is in effect at once', async () => {
  const at = await place()
  const service = await configService(at)
  expect(await service.set('run.maxTurns', '9')).toMatchObject({ value: 9, source: 'file', set: true })
  await service.set('egress.allow', ['a.example:443', 'b.example'])
  await service.set('egress.allow', '["c.example:443", "[::1]:80"]')
  await service.set('model.prices', '{"m": {"input": 1, "output": 2}}')
  expect(service.current()).toMatchObject({
    run: { maxTurns: 9 },
    egress: { allow: ['c.example:443', '[::1]:80'] },
    model: { prices: { m: { input: 1, output: 2 } } },
  })
  expect(await json(at.dir, 'config.json')).toMatchObject({ run: { maxTurns: 9 } })
  expect((await configService(at)).current()).toEqual(service.current())
  expect(await service.set('egress.allow', '[::1]:443')).toMatchObject({ value: ['[::1]:443'] })
  expect(await service.unset('run.maxTurns')).toMatchObject({ value: 16, source: 'default' })
  expect(await json(at.dir, 'config.json')).not.toHaveProperty('run')
})

test('a secret goes to its own file and is never given back', async () => {
  const at = await place()
  const service = await configService(at)
  const item = await service.set('model.anthropic.apiKey', 'sk-very-secret')
  expect(item).toMatchObject({ value: null, set: true, secret: true, source: 'file' })
  expect(service.current().model.anthropic.apiKey).toBe('sk-very-secret')
  expect(JSON.stringify(await service.list())).not.toContain('sk-very-secret')
  expect((await stat(path.join(at.dir, 'secrets.json'))).mode & 0o777).toBe(0o600)
  expect(await readdir(at.dir)).toEqual(['secrets.json'])
  expect(await service.unset('model.anthropic.apiKey')).toMatchObject({ set: false })
})

test('a bad value changes nothing and is the caller’s mistake', async () => {
  const at = await place({}, { FORGE_RUN_TIMEOUT: '10' })
  const service = await configService(at)
  for (const [id, value, message] of [
    ['run.maxTurns', 'many', 'run.maxTurns: expected a number'],
    ['run.maxTurns', '0', /^run\.maxTurns: .*>=1/],
    ['run.timeout', '-1', /^run\.timeout: /],
    ['sandbox.keep', 'maybe', /^sandbox\.keep: .*never/],
    ['egress.allow', 'x:y', /^egress\.allow: .*"x:y"/],
    ['model.prices', '{"m": {"input": "x", "output": 1}}', /^model\.prices\.m\.input: /],
  ] as const)
    await expect(service.set(id, value)).rejects.toMatchObject({
      code: 'invalid_input',
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    })
  expect(await readdir(at.dir)).toEqual([])
  await expect(service.set('nope', '1')).rejects.toMatchObject({ code: 'not_found' })
  await expect(service.get('run.maxTurn')).rejects.toMatchObject({
    code: 'not_found',
    hint: expect.stringContaining('run.maxTurns'),
  })
})

test('many changes at once all arrive, and the file is whole at every moment', async () => {
  const at = await place({ 'config.json': { run: { timeout: 5 } } })
  const service = await configService(at)
  let reading = true
  const reader = (async () => {
    while (reading) await json(at.dir, 'config.json')
  })()
  const numbers = settings.filter(({ id }) =>
    ['run.maxTurns', 'run.maxTokens', 'sandbox.limits.pids'].includes(id),
  )
  await Promise.all(numbers.flatMap(({ id }) => [20, 21, 22].map((value) => service.set(id, String(value)))))
  reading = false
  await reader
  expect(await json(at.dir, 'config.json')).toEqual({
    run: { timeout: 5, maxTurns: 22, maxTokens: 22 },
    sandbox: { limits: { pids: 22 } },
  })
  expect(await readdir(at.dir)).toEqual(['config.json'])
})

test('set keeps a symlinked file a symlink and what else was written into it meanwhile', async () => {
  const elsewhere = await place({ 'mine.json': { run: { timeout: 5 } } })
  const at = await place()
  await symlink(path.join(elsewhere.dir, 'mine.json'), path.join(at.dir, 'config.json'))
  const service = await configService(at)
  await writeFile(path.join(elsewhere.dir, 'mine.json'), JSON.stringify({ run: { timeout: 6 } }))
  await service.set('run.maxTurns', '2')
  expect(await json(elsewhere.dir, 'mine.json')).toEqual({ run: { timeout: 6, maxTurns: 2 } })
  expect(service.current().run.timeout).toBe(6)
})

test('a variable goes on winning over what is set', async () => {
  const service = await configService(await place({}, { FORGE_MODEL: 'openai/env' }))
  expect(await service.set('model.default', 'openai/file')).toMatchObject({
    value: 'openai/env',
    source: 'environment',
  })
})
