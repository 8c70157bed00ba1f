import { type Command, dashed, type Option } from './command.ts'

/** Lines longer than this are hard to read, however wide the terminal is. */
const widest = 100

/** Breaks at spaces, so that no line is longer than `width`; a longer word stays whole. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

type Row = readonly [left: string, right: string]

/** Two columns; the right one starts on a line of its own where the left one is too wide. */
function columns(rows: readonly Row[], options: { width: number; left: number }): string {
  const { width, left } = options
  return rows
    .flatMap(([name, text]) => {
      const [first = '', ...more] = wrap(text, Math.max(20, width - left))
      const indent = ' '.repeat(left)
      const head = name.length + 2 > left ? [name, indent + first] : [name.padEnd(left) + first]
      return [...head, ...more.map((line) => indent + line)].map((line) => line.trimEnd())
    })
    .join('\n')
}

const leftOf = (rows: readonly Row[], most: number): number =>
  Math.min(most, Math.max(...rows.map(([name]) => name.length)) + 2)

function optionRow([key, option]: [string, Option]): Row {
  const alias = option.alias ? `-${option.alias}, ` : '    '
  const value = option.kind === 'flag' ? '' : ` ${option.placeholder}`
  const repeatable = option.kind === 'list' ? ' (repeatable)' : ''
  return [`  ${alias}--${dashed(key)}${value}`, option.describe + repeatable]
}

/** `forge runs show [RUN] [options]`, `forge sandbox exec SANDBOX [options] -- COMMAND...` */
export const usageLine = (name: string, command: Command): string =>
  [
    'forge',
    name,
    ...command.positionals.map((each) => (each.required ? each.name : `[${each.name}]`)),
    '[options]',
    ...(command.rest ? [`-- ${command.rest.name}`] : []),
  ].join(' ')

/** The help of one command. Ends with a newline. */
export function commandHelp(name: string, command: Command, terminalWidth: number): string {
  const width = Math.min(terminalWidth, widest)
  const words: Row[] = [...command.positionals, ...(command.rest ? [command.rest] : [])].map((each) => [
    `  ${each.name}`,
    each.describe,
  ])
  const options: Row[] = [
    ...Object.entries(command.options).map(optionRow),
    ['  -h, --help', 'show this help'],
  ]
  const examples: Row[] = command.examples.map(([line, what]) => [`  ${line}`, what])
  const describe = command.describe
    .split('\n')
    .map((line) => (line.startsWith(' ') ? line : wrap(line, width).join('\n')))
    .join('\n')
  const parts = [
    `Usage: ${usageLine(name, command)}`,
    describe,
    ...(words.length > 0 ? [columns(words, { width, left: leftOf(words, 20) })] : []),
    `Options:\n${columns(options, { width, left: leftOf(options, 28) })}`,
    `Examples:\n${columns(examples, { width, left: leftOf(examples, 46) })}`,
  ]
  return `${parts.join('\n\n')}\n`
}
