import { ForgeError } from '#core/errors.ts'
import { catalogue, type Entry } from '../catalogue.ts'

type Choice =
  | { readonly kind: 'command'; readonly entry: Entry; readonly argv: readonly string[] }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' }

const nouns = new Set(
  catalogue
    .map(({ name }) => name.split(' '))
    .filter(([, verb]) => verb)
    .map(([noun]) => noun),
)

const listing = (entries: readonly Entry[]): string => {
  const width = Math.max(...entries.map(({ name }) => name.length))
  return entries.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')
}

const examples = `Examples:
  forge run "make the failing test pass" --check "npm test"
  forge diff
  forge apply`

/** The help of everything, or of one noun. */
export function overview(noun?: string): string {
  const entries = noun ? catalogue.filter(({ name }) => name.startsWith(`${noun} `)) : catalogue
  const usage = noun ? `forge ${noun} COMMAND [options]` : 'forge COMMAND [options]'
  const parts = [
    `Usage: ${usage}`,
    ...(noun ? [] : ['Coding agents that work in isolated sandboxes; you review and take their work.']),
    `Commands:\n${listing(entries)}`,
    ...(noun ? [] : [examples]),
    `Options:\n  -h, --help  show this help; also after a command${noun ? '' : '\n  --version   show the version'}`,
  ]
  return `${parts.join('\n\n')}\n`
}

const isHelp = (word: string | undefined): boolean => word === undefined || word === '--help' || word === '-h'

/** Which command the words name. Throws `usage`. */
export function dispatch(argv: readonly string[]): Choice {
  const [first, second] = argv
  if (first === '--version') return { kind: 'version' }
  if (first === 'help')
    return argv.length === 1 ? { kind: 'help', text: overview() } : dispatch([...argv.slice(1), '--help'])
  if (isHelp(first)) return { kind: 'help', text: overview() }
  const find = (name: string): Entry | undefined => catalogue.find((candidate) => candidate.name === name)
  const verb = find(`${first} ${second}`)
  if (verb) return { kind: 'command', entry: verb, argv: argv.slice(2) }
  if (nouns.has(first)) {
    if (isHelp(second)) return { kind: 'help', text: overview(first) }
    throw unknown(`${first} ${second}`, `forge ${first} --help`)
  }
  const single = find(first ?? '')
  if (single) return { kind: 'command', entry: single, argv: argv.slice(1) }
  throw unknown(first ?? '', 'forge --help')
}

function unknown(words: string, help: string): ForgeError {
  const near = catalogue
    .map(({ name }) => ({ name, distance: editDistance(name, words) }))
    .sort((one, other) => one.distance - other.distance)[0]
  const meant = near && near.distance <= 2 ? `did you mean: forge ${near.name}\n` : ''
  const what = words.startsWith('-') ? 'unknown option' : 'unknown command'
  return new ForgeError('usage', `${what}: ${words}`, {
    hint: `${meant}usage: forge COMMAND [options]\nmore: ${help}`,
  })
}

/** Levenshtein's distance; names are short. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_unused, index) => index)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++)
      next[j] = Math.min(
        (row[j] ?? 0) + 1,
        (next[j - 1] ?? 0) + 1,
        (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1),
      )
    row = next
  }
  return row[other.length] ?? 0
}
