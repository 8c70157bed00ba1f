import yargs from 'yargs'
import { ForgeError } from '#core/errors.ts'
import { type Arguments, type Command, dashed, type Options } from './command.ts'
import { commandHelp, usageLine } from './help.ts'

type Parsed =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'run'; readonly args: Arguments }

const usageError = (name: string, command: Command, message: string): ForgeError =>
  new ForgeError('usage', message, {
    hint: `usage: ${usageLine(name, command)}\nmore: forge ${name} --help`,
  })

function parserFor(command: Command) {
  const parser = yargs([])
    .detectLocale(false)
    .exitProcess(false)
    .fail(false)
    .version(false)
    .help(false)
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
    .strictOptions()
  for (const [key, option] of Object.entries(command.options))
    parser.option(dashed(key), {
      type: option.kind === 'flag' ? 'boolean' : option.kind === 'list' ? 'array' : 'string',
      ...(option.alias ? { alias: option.alias } : {}),
      ...(option.kind === 'flag' ? {} : { requiresArg: true, string: true }),
    })
  return parser
}

/** Parses the words after the command's name. Throws `usage`. */
export async function parseArguments(
  name: string,
  command: Command,
  options: { argv: readonly string[]; width: number },
): Promise<Parsed> {
  const asked = options.argv.slice(0, indexOr(options.argv, '--'))
  if (asked.includes('--help') || asked.includes('-h'))
    return { kind: 'help', text: commandHelp(name, command, options.width) }
  const fail = (message: string) => usageError(name, command, message)
  let raw: Record<string, unknown> & { _: (string | number)[] }
  try {
    raw = await parserFor(command).parseAsync([...options.argv])
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
