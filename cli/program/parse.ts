import yargs from 'yargs'
import { ForgeError } from '#core/errors.ts'
import { type Arguments, type Command, dashed, type Option, type Options } from './command.ts'

export type Parsed =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'run'; readonly args: Arguments }

const positionalUsage = (command: Command): string =>
  [
    ...command.positionals.map(({ name, required }) => (required ? name : `[${name}]`)),
    ...(command.rest ? [`-- ${command.rest.name}`] : []),
  ].join(' ')

/** `forge runs show [RUN] [options]` */
export const usageLine = (name: string, command: Command): string =>
  ['forge', name, positionalUsage(command), '[options]'].filter((part) => part !== '').join(' ')

const usageError = (name: string, command: Command, message: string): ForgeError =>
  new ForgeError('usage', message, {
    hint: `usage: ${usageLine(name, command)}\nmore: forge ${name} --help`,
  })

function describeOption(option: Option): string {
  const choices = option.kind === 'value' && option.choices ? ` (${option.choices.join(', ')})` : ''
  return option.describe + choices + (option.kind === 'list' ? ' (repeatable)' : '')
}

function parserFor(name: string, command: Command, width: number) {
  const parser = yargs([])
    .scriptName('forge')
    .detectLocale(false)
    .exitProcess(false)
    .fail(false)
    .version(false)
    .help(false)
    .wrap(Math.min(width, 110))
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': true,
      'greedy-arrays': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'populate--': true,
    })
    .usage(`Usage: ${usageLine(name, command)}\n\n${command.describe}${positionalHelp(command)}`)
    .strictOptions()
  for (const [key, option] of Object.entries(command.options))
    parser.option(dashed(key), {
      type: option.kind === 'flag' ? 'boolean' : option.kind === 'list' ? 'array' : 'string',
      describe: describeOption(option),
      ...(option.alias ? { alias: option.alias } : {}),
      ...(option.kind === 'flag' ? {} : { requiresArg: true, string: true }),
    })
  parser.option('help', { type: 'boolean', alias: 'h', describe: 'show this help' })
  for (const [line, what] of command.examples) parser.example(line, what)
  return parser
}

function positionalHelp(command: Command): string {
  const rows = [...command.positionals, ...(command.rest ? [command.rest] : [])]
  if (rows.length === 0) return ''
  const width = Math.max(...rows.map(({ name }) => name.length))
  return `\n\n${rows.map((row) => `  ${row.name.padEnd(width)}  ${row.describe}`).join('\n')}`
}

/** Parses the words after the command's name. Throws `usage`. */
export async function parseArguments(
  name: string,
  command: Command,
  options: { argv: readonly string[]; width: number },
): Promise<Parsed> {
  const parser = parserFor(name, command, options.width)
  const asked = options.argv.slice(0, indexOr(options.argv, '--'))
  if (asked.includes('--help') || asked.includes('-h'))
    return { kind: 'help', text: `${await parser.getHelp()}\n` }
  const fail = (message: string) => usageError(name, command, message)
  let raw: Record<string, unknown> & { _: (string | number)[] }
  try {
    raw = await parser.parseAsync([...options.argv])
  } catch (error) {
    throw fail(wordYargs((error as Error).message))
  }
  const after = ((raw['--'] as string[] | undefined) ?? []).map(String)
  const words = [...raw._.map(String), ...(command.rest ? [] : after)]
  const extra = words.slice(command.positionals.length)
  if (extra.length > 0 && !command.rest) throw fail(`unexpected argument: ${extra[0]}`)
  const missing = command.positionals.find(({ required }, index) => required && words[index] === undefined)
  if (missing) throw fail(`${missing.name} is missing`)
  const values = readOptions(command.options, raw, fail)
  for (const [one, other] of command.conflicts ?? [])
    if (isGiven(values[one]) && isGiven(values[other]))
      throw fail(`--${dashed(one)} and --${dashed(other)} contradict each other`)
  return {
    kind: 'run',
    args: {
      options: values,
      positionals: words,
      rest: command.rest ? [...extra, ...after] : [],
    } as Arguments,
  }
}

const indexOr = (argv: readonly string[], word: string): number => {
  const at = argv.indexOf(word)
  return at < 0 ? argv.length : at
}

const isGiven = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false

const wordYargs = (message: string): string =>
  message
    .replace(/^Unknown arguments?: (.*)$/, (_all, names: string) =>
      names
        .split(', ')
        .map((name) => `unknown option: ${name.length === 1 ? '-' : '--'}${name}`)
        .filter((line, index, all) => all.indexOf(line) === index)
        .join(', '),
    )
    .replace(/^Not enough arguments following: (.*)$/, (_all, name: string) => `--${name} needs a value`)

function readOptions(
  options: Options,
  raw: Record<string, unknown>,
  fail: (message: string) => ForgeError,
): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [key, option] of Object.entries(options)) {
    const flag = dashed(key)
    const value = raw[flag]
    if (option.kind === 'flag') {
      values[key] = Array.isArray(value) ? value.at(-1) === true : value === true
      continue
    }
    if (option.kind === 'value' && Array.isArray(value)) throw fail(`--${flag} was given more than once`)
    const parse = (text: unknown): unknown => {
      try {
        return option.parse(String(text))
      } catch (error) {
        throw fail(`--${flag}: ${(error as Error).message}`)
      }
    }
    if (option.kind === 'list') values[key] = ((value as unknown[] | undefined) ?? []).map(parse)
    else values[key] = value === undefined ? undefined : parse(value)
  }
  return values
}
