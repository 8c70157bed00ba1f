import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildProgram, serve, type TestProgram } from './testkit/program.ts'

/** A server that knows only /healthz: what starting one is about. It counts how often it was started. */
const smallServer = `
import { createServer } from 'node:http'
import { appendFileSync, existsSync, rmSync } from 'node:fs'
const { FORGE_HOME: home } = process.env
appendFileSync(home + '/starts', process.pid + '\\n')
const answers = {
  '/healthz': () => ({ ok: true, pid: process.pid, version: '0.1.0' }),
  '/trpc/runs.list': () => ({ result: { data: [] } }),
  '/trpc/server.stop': () => (setTimeout(() => process.exit(0), 20), { result: {} }),
}
const server = createServer((request, response) => {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(answers[request.url.split('?')[0]]()))
})
setTimeout(() => server.listen(home + '/run/forge.sock'), 200)
setTimeout(() => process.exit(0), 20000)
`

let program: TestProgram
beforeEach(async () => {
  program = await buildProgram()
  await mkdir(path.join(program.home, 'run'), { recursive: true, mode: 0o700 })
})
afterEach(async () => {
  await program.run(['stop'])
  await program[Symbol.asyncDispose]()
})

const install = (text: string) => writeFile(path.join(program.root, 'dist/server.mjs'), text)

describe('without a server', () => {
  test('status says so, starts none, and exits with 1', async () => {
    await install(smallServer)
    expect(await program.run(['status', '--json'])).toEqual({
      code: 1,
      signal: null,
      stdout: '{\n  "running": false\n}\n',
      stderr: '',
    })
    expect((await program.run(['status'])).stdout).toContain('not running')
    await expect(readFile(path.join(program.home, 'starts'))).rejects.toThrow('ENOENT')
  })

  test('stop says so and is content', async () => {
    expect(await program.run(['stop'])).toMatchObject({ code: 0, stdout: 'no Forge server is running\n' })
  })

  test('five commands at once start one, and one of them says so', async () => {
    await install(smallServer)
    const results = await Promise.all(Array.from({ length: 5 }, () => program.run(['runs', 'ls', '--json'])))
    for (const { code, stdout } of results) expect([code, stdout]).toEqual([0, '[]\n'])
    const starts = (await readFile(path.join(program.home, 'starts'), 'utf8')).trim().split('\n')
    expect(starts).toHaveLength(1)
    expect(results.map(({ stderr }) => stderr).join('')).toBe(`started the Forge server (pid ${starts[0]})\n`)
    expect((await program.run(['stop', '--json'])).stdout).toBe(
      `{\n  "stopped": true,\n  "pid": ${starts[0]}\n}\n`,
    )
  })

  test('a lock that a dead command left is no obstacle', async () => {
    await install(smallServer)
    await mkdir(path.join(program.home, 'state'), { recursive: true })
    await writeFile(path.join(program.home, 'state/start.lock'), '4194304999')
    expect((await program.run(['runs', 'ls'])).code).toBe(0)
  })

  test.each([
    [
      'its last word',
      `console.log('{}'); console.error('forge: the data is locked by pid 7\\nstop it'); process.exit(1)`,
      1,
      /did not start: the data is locked by pid 7\n {2}stop it\n/,
    ],
    [
      'a bad configuration',
      `console.error('forge: run.maxTurns: too big'); process.exit(3)`,
      3,
      /run\.maxTurns: too big/,
    ],
    ['the end of its log', `throw new Error('boom')`, 1, /boom/],
  ])('one that dies at once is an error with %s', async (_name, text, code, said) => {
    await install(text)
    const result = await program.run(['runs', 'ls', '--json'])
    expect(result.stdout).toBe('')
    expect(result.stderr).toMatch(said)
    expect(result.code).toBe(code)
  })

  test('forge serve is the server itself', async () => {
    await install(`console.log('pid', process.pid); setTimeout(() => process.exit(5), 50)`)
    const { child, result } = program.start(['serve'])
    expect(await result).toMatchObject({ code: 5, stdout: `pid ${child.pid}\n` })
  })

  test('a program that was never built says what to do', async () => {
    await rm(path.join(program.root, 'dist'), { recursive: true })
    const result = await program.run(['runs', 'ls'])
    expect(result).toMatchObject({ code: 3, stdout: '' })
    expect(result.stderr).toContain('npm run build')
    expect((await program.run(['--version'])).stdout).toBe('0.1.0\n')
  })
})

test('a folder of the socket that others may write to is not trusted', async () => {
  const server = await serve(program)
  try {
    await chmod(path.dirname(program.socket), 0o777)
    for (const argv of [['runs', 'ls'], ['runs', 'show'], ['status']]) {
      const result = await program.run(argv)
      expect(result.stderr).toContain('cannot be trusted')
      expect(result).toMatchObject({ code: 7, stdout: '' })
    }
  } finally {
    await server.kill()
  }
})

test('the quick way and the long way say the same', async () => {
  const server = await serve(program)
  try {
    await program.run(['run', 'mend 日本 things', '--detach'])
    // The quick way knows `--json` once, and at the end.
    for (const [quick, long] of [
      [
        ['runs', 'ls'],
        ['runs', 'ls', '--json=false'],
      ],
      [
        ['runs', 'ls', '--json'],
        ['runs', 'ls', '--json', '--json'],
      ],
      [['status'], ['status', '--json=false']],
      [
        ['status', '--json'],
        ['status', '--json', '--json'],
      ],
    ] as const) {
      const result = await program.run(quick)
      expect(result).toMatchObject({ code: 0, stderr: '' })
      expect(await program.run(long)).toEqual(result)
    }
  } finally {
    await server.kill()
  }
})
