import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildProgram, serve, type TestProgram, waitFor } from './testkit/program.ts'
import type { TestServer } from './testkit/server.ts'

let program: TestProgram
let server: TestServer

beforeAll(async () => {
  program = await buildProgram()
  server = await serve(program)
  server.sandboxes.cwd = program.home
  await program.run(['sandbox', 'create', '--name', 'box'])
})
afterAll(async () => {
  await server?.kill()
  await program?.[Symbol.asyncDispose]()
})

const exec = (argv: readonly string[], input?: string) =>
  program.run(['sandbox', 'exec', 'box', '--', ...argv], input === undefined ? {} : { input })

describe('forge sandbox exec', () => {
  test('passes output, errors and the exit code', async () => {
    const result = await exec(['echo out; echo err >&2; exit 7'])
    expect(result).toMatchObject({ stdout: 'out\n', stderr: 'err\n', code: 7 })
  })

  test('passes words as they are', async () => {
    const words = ['a b', "it's", '$HOME', '"q"', '*', '', '-n', '--help', ';']
    const result = await exec(['printf', '[%s]', ...words])
    expect(result.stdout).toBe(words.map((word) => `[${word}]`).join(''))
  })

  test('passes a lot of input through, byte for byte, and ends it', async () => {
    const input = 'forge\u0000\r\n'.repeat(300_000)
    const result = await exec(['cat'], input)
    expect(result.stdout === input).toBe(true)
    expect(result.code).toBe(0)
  })

  test('--json is the whole of it in one document', async () => {
    const result = await program.run([
      'sandbox',
      'exec',
      'box',
      '--json',
      '--',
      'echo out; echo err >&2; exit 7',
    ])
    expect(JSON.parse(result.stdout)).toMatchObject({
      exitCode: 7,
      stdout: 'out\n',
      stderr: 'err\n',
      truncated: false,
    })
    expect(result.code).toBe(7)
  })

  test('a signal’s death is 128 and its number', async () => {
    expect((await exec(['kill -KILL $$'])).code).toBe(137)
  })

  test('SIGINT goes to the command', async () => {
    const { child, result } = program.start([
      'sandbox',
      'exec',
      'box',
      '--',
      'trap "echo caught; exit 3" INT; echo up; while :; do sleep 0.05; done',
    ])
    await waitFor(child.stdout as NodeJS.ReadableStream, /up/)
    child.kill('SIGINT')
    expect(await result).toMatchObject({ stdout: 'up\ncaught\n', code: 3 })
  })

  test('a command that is missing is a usage error; a shell wants a terminal', async () => {
    expect(await program.run(['sandbox', 'exec', 'box'])).toMatchObject({ code: 2, stdout: '' })
    expect(await program.run(['sandbox', 'shell', 'box'])).toMatchObject({ code: 2, stdout: '' })
  })

  test('a sandbox that is not there is an error', async () => {
    const result = await program.run(['sandbox', 'exec', 'nobody', '--', 'true'])
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('there is no sandbox nobody')
  })
})

describe('forge sandbox cp', () => {
  test('there and back again', async () => {
    const source = path.join(program.home, 'source')
    await mkdir(path.join(source, 'sub'), { recursive: true })
    await writeFile(path.join(source, 'sub/run.sh'), 'echo hi\n', { mode: 0o750 })
    await writeFile(path.join(source, 'big'), Buffer.alloc(3_000_000, 5))
    const there = await program.run(['sandbox', 'cp', source, `box:${program.home}/there`, '--json'])
    expect(there.stderr).toBe('')
    expect(JSON.parse(there.stdout)).toMatchObject({ files: 2, bytes: 3_000_008, skipped: [] })
    const back = await program.run(['sandbox', 'cp', `box:${program.home}/there`, `${program.home}/back`])
    expect(back).toMatchObject({ code: 0, stderr: '', stdout: '2 files, 2.9 MiB\n' })
    expect((await stat(path.join(program.home, 'back/sub/run.sh'))).mode & 0o777).toBe(0o750)
    expect((await readFile(path.join(program.home, 'back/big'))).equals(Buffer.alloc(3_000_000, 5))).toBe(
      true,
    )
  })

  test('into a folder that exists, under its own name', async () => {
    await mkdir(path.join(program.home, 'target'))
    await writeFile(path.join(program.home, 'note'), 'hi')
    await program.run(['sandbox', 'cp', `${program.home}/note`, `box:${program.home}/target`])
    expect(await readFile(path.join(program.home, 'target/note'), 'utf8')).toBe('hi')
    await program.run(['sandbox', 'cp', `box:${program.home}/note`, `${program.home}/target/`])
  })

  test.each([
    [['/nonexistent', 'box:/tmp'], 1],
    [['box:/nonexistent', '.'], 1],
    [['/etc/hostname', 'box:/nonexistent/x/y'], 1],
    [['a', 'b'], 2],
    [['box:a', 'box:b'], 2],
  ])('%j fails with %i', async (argv, code) => {
    const result = await program.run(['sandbox', 'cp', ...argv])
    expect(result.stderr).toMatch(/^error: /)
    expect(result.code).toBe(code)
  })
})

describe('--json', () => {
  test('of sandbox create, ls and rm are objects', async () => {
    const made = JSON.parse((await program.run(['sandbox', 'create', '--json', '--memory', '128'])).stdout)
    expect(made).toMatchObject({ state: 'running', limits: { memoryMb: 128 } })
    const listed = JSON.parse((await program.run(['sandbox', 'ls', '--json'])).stdout)
    expect(listed.map(({ id }: { id: string }) => id)).toContain(made.id)
    const gone = JSON.parse((await program.run(['sandbox', 'rm', made.id, '--json'])).stdout)
    expect(gone).toMatchObject({ id: made.id, state: 'destroyed' })
  })
})
