import { describe, expect, test } from 'vitest'
import { ForgeError } from '#core/errors.ts'
import { catalogue } from '../catalogue.ts'
import { command as runCommand } from '../commands/runs/run.ts'
import { command as execCommand } from '../commands/sandbox/exec.ts'
import type { Command } from './command.ts'
import { dispatch, overview } from './dispatch.ts'
import { parseArguments } from './parse.ts'

const parse = async (name: string, command: unknown, argv: string[]) => {
  const parsed = await parseArguments(name, command as Command, { argv, width: 80 })
  if (parsed.kind === 'help') throw new Error(parsed.text)
  return parsed.args
}
const failure = async (argv: string[]): Promise<ForgeError> =>
  parse('run', runCommand, argv).then(
    (args) => {
      throw new Error(`accepted: ${JSON.stringify(args)}`)
    },
    (error) => error as ForgeError,
  )

describe('the options of forge run', () => {
  test('are read', async () => {
    const { options, positionals } = await parse('run', runCommand, [
      'mend it',
      '--check=npm test -- --ci',
      '--max-turns',
      '7',
      '--max-cost=0.5',
      '--timeout',
      '10m',
      '--allow',
      'a.example:443',
      '--allow=b.example:80',
      '-m',
      'demo/scripted',
      '--json',
    ])
    expect(positionals).toEqual(['mend it'])
    expect(options).toEqual({
      repo: undefined,
      model: 'demo/scripted',
      provider: undefined,
      check: 'npm test -- --ci',
      maxTurns: 7,
      maxCost: 0.5,
      maxTokens: undefined,
      timeout: 600,
      allow: ['a.example:443', 'b.example:80'],
      apply: false,
      detach: false,
      json: true,
    })
  })

  test('a prompt may look like an option or a number', async () => {
    expect((await parse('run', runCommand, ['--', '--help'])).positionals).toEqual(['--help'])
    expect((await parse('run', runCommand, ['0042'])).positionals).toEqual(['0042'])
    expect((await parse('run', runCommand, ['-'])).positionals).toEqual(['-'])
  })

  test('--allow takes one value and leaves the prompt alone', async () => {
    const { options, positionals } = await parse('run', runCommand, ['--allow', 'a.example', 'mend it'])
    expect([options.allow, positionals]).toEqual([['a.example'], ['mend it']])
  })

  test.each([
    [['x', '--bogus'], 'unknown option: --bogus'],
    [['x', '-z'], 'unknown option: -z'],
    [['x', '--no-json'], 'unknown option: --no-json'],
    [['x', '--repo'], '--repo needs a value'],
    [['x', '--repo', '--json'], '--repo needs a value'],
    [['x', '--repo', 'a', '--repo', 'b'], '--repo was given more than once'],
    [['x', '--max-turns', 'many'], '--max-turns: "many" is not a whole number'],
    [['x', '--max-turns', '1.5'], '--max-turns: "1.5" is not a whole number'],
    [['x', '--max-turns', '0'], '--max-turns: 0 is not between 1 and 1000'],
    [['x', '--max-cost', '-1'], '--max-cost: -1 is not between 0 and 1000000'],
    [['x', '--timeout', 'soon'], '--timeout: "soon" is not a duration such as 90, 90s, 10m or 1h'],
    [['x', '--check', ''], '--check: is empty'],
    [['x', '--apply', '--detach'], '--apply and --detach contradict each other'],
    [['x', 'y'], 'unexpected argument: y'],
    [[], 'PROMPT is missing'],
  ])('%j is refused', async (argv, message) => {
    const error = await failure(argv)
    expect(error).toBeInstanceOf(ForgeError)
    expect([error.code, error.message]).toEqual(['usage', message])
    expect(error.hint).toContain('usage: forge run PROMPT [options]')
  })
})

test('what follows -- belongs to the command in the sandbox', async () => {
  const { options, positionals, rest } = await parse('sandbox exec', execCommand, [
    'box',
    '-w',
    '/tmp',
    '--',
    'ls',
    '--help',
    '-la',
    '--',
    '7',
  ])
  expect([positionals, options.cwd, rest]).toEqual([['box'], '/tmp', ['ls', '--help', '-la', '--', '7']])
})

test('so do plain words without it', async () => {
  expect((await parse('sandbox exec', execCommand, ['box', 'echo', 'hi'])).rest).toEqual(['echo', 'hi'])
})

describe('naming a command', () => {
  test('finds nouns, verbs and help', () => {
    expect(dispatch(['runs', 'ls', '--json'])).toMatchObject({ kind: 'command', argv: ['--json'] })
    expect(dispatch(['status'])).toMatchObject({ kind: 'command', argv: [] })
    expect(dispatch([])).toEqual({ kind: 'help', text: overview() })
    expect(dispatch(['runs'])).toEqual({ kind: 'help', text: overview('runs') })
    expect(dispatch(['help', 'runs', 'ls'])).toMatchObject({ kind: 'command', argv: ['--help'] })
  })

  test.each([
    [['runz'], 'unknown command: runz', 'did you mean: forge run'],
    [['runs', 'lss'], 'unknown command: runs lss', 'did you mean: forge runs ls'],
    [['--bogus'], 'unknown option: --bogus', 'forge --help'],
  ])('%j is refused with what was meant', (argv, message, hint) => {
    expect(() => dispatch(argv)).toThrow(
      expect.objectContaining({ code: 'usage', message, hint: expect.stringContaining(hint) }),
    )
  })
})

test.each(catalogue)('forge $name has help with an example, within 80 columns', async ({ name, load }) => {
  const { command } = await load()
  const parsed = await parseArguments(name, command, { argv: ['--help'], width: 80 })
  if (parsed.kind !== 'help') throw new Error('no help')
  expect(parsed.text).toContain(`Usage: forge ${name}`)
  expect(parsed.text).toContain('Examples:')
  // Example lines and the usage are kept whole, to be copied.
  const prose = parsed.text
    .split('\n')
    .filter((line) => !/^(Usage:| {2}\S.*forge )/.test(line) && !line.startsWith('  forge '))
  for (const line of prose) expect(line.length).toBeLessThanOrEqual(80)
})
