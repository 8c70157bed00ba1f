import { dashed, type Options } from '../../program/command.ts'

export const shells = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof shells)[number]

export interface CompletionEntry {
  readonly name: string
  readonly summary: string
  readonly options: Options
}

interface Word {
  readonly word: string
  readonly summary: string
}

/** The words that may come after nothing, or after a noun. */
function wordsAfter(entries: readonly CompletionEntry[], noun: string | undefined): Word[] {
  const words = new Map<string, string>()
  for (const { name, summary } of entries) {
    const [first = '', second] = name.split(' ')
    if (noun === undefined && !words.has(first)) words.set(first, second ? `${first} commands` : summary)
    if (noun !== undefined && first === noun && second) words.set(second, summary)
  }
  return [...words].map(([word, summary]) => ({ word, summary }))
}

const nounsOf = (entries: readonly CompletionEntry[]): string[] => [
  ...new Set(entries.flatMap(({ name }) => (name.includes(' ') ? [name.split(' ')[0] ?? ''] : []))),
]

const flagsOf = ({ options }: CompletionEntry): Word[] => [
  ...Object.entries(options).map(([key, option]) => ({ word: `--${dashed(key)}`, summary: option.describe })),
  { word: '--help', summary: 'show the help' },
]

const joined = (words: readonly Word[]): string => words.map(({ word }) => word).join(' ')

function bash(entries: readonly CompletionEntry[]): string {
  const flags = entries.map(
    (entry) => `    ${JSON.stringify(entry.name)}) words="${joined(flagsOf(entry))}" ;;`,
  )
  const nouns = nounsOf(entries).map((noun) => `    ${noun}) words="${joined(wordsAfter(entries, noun))}" ;;`)
  return `# bash completion for forge
_forge() {
  local current="\${COMP_WORDS[COMP_CWORD]}" first="\${COMP_WORDS[1]}" second="\${COMP_WORDS[2]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${joined(wordsAfter(entries, undefined))} --help --version"
  elif [[ "$current" == -* ]]; then
    case "$first $second" in
${flags.filter((line) => line.includes(' ', 6) && /"\S+ \S+"\)/.test(line)).join('\n')}
    esac
    [ -n "$words" ] || case "$first" in
${flags.filter((line) => /"\S+"\)/.test(line)).join('\n')}
    esac
  elif [ "$COMP_CWORD" -eq 2 ]; then
    case "$first" in
${nouns.join('\n')}
    esac
  fi
  if [ -n "$words" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    compopt -o default 2>/dev/null
    COMPREPLY=()
  fi
}
complete -F _forge forge
`
}

const zshItem = ({ word, summary }: Word): string =>
  `'${word}:${summary.replaceAll("'", '’').replaceAll(':', '\\:')}'`

function zsh(entries: readonly CompletionEntry[]): string {
  const list = (words: readonly Word[]) => `items=(${words.map(zshItem).join(' ')})`
  const nouns = nounsOf(entries).map((noun) => `      ${noun}) ${list(wordsAfter(entries, noun))} ;;`)
  const flags = entries.map((entry) => {
    const pattern = entry.name.includes(' ') ? `'${entry.name}'` : `'${entry.name}'|'${entry.name} '*`
    return `      ${pattern}) ${list(flagsOf(entry))} ;;`
  })
  return `#compdef forge
_forge() {
  local -a items
  if (( CURRENT == 2 )); then
    ${list([...wordsAfter(entries, undefined), { word: '--help', summary: 'show the help' }, { word: '--version', summary: 'show the version' }])}
  elif [[ "$PREFIX" == -* ]]; then
    case "$words[2] $words[3]" in
${flags.join('\n')}
    esac
  elif (( CURRENT == 3 )); then
    case "$words[2]" in
${nouns.join('\n')}
    esac
  fi
  if (( \${#items} )); then _describe forge items; else _files; fi
}
if [ "$funcstack[1]" = "_forge" ]; then _forge "$@"; else compdef _forge forge; fi
`
}

const fishQuoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`

function fish(entries: readonly CompletionEntry[]): string {
  const lines = ['# fish completion for forge']
  for (const { word, summary } of wordsAfter(entries, undefined))
    lines.push(`complete -c forge -f -n __fish_use_subcommand -a ${word} -d ${fishQuoted(summary)}`)
  for (const noun of nounsOf(entries)) {
    const verbs = wordsAfter(entries, noun)
    const condition = `'__fish_seen_subcommand_from ${noun}; and not __fish_seen_subcommand_from ${joined(verbs)}'`
    for (const { word, summary } of verbs)
      lines.push(`complete -c forge -f -n ${condition} -a ${word} -d ${fishQuoted(summary)}`)
  }
  for (const entry of entries) {
    const [first, second] = entry.name.split(' ')
    const seen = [first, second].filter(Boolean).map((word) => `__fish_seen_subcommand_from ${word}`)
    for (const [key, option] of Object.entries(entry.options))
      lines.push(
        `complete -c forge -n '${seen.join('; and ')}' -l ${dashed(key)}${option.alias ? ` -s ${option.alias}` : ''}${option.kind === 'flag' ? '' : ' -r'} -d ${fishQuoted(option.describe)}`,
      )
  }
  return `${lines.join('\n')}\n`
}

/** A static script: pressing Tab starts no program. */
export const completionScript = (shell: Shell, entries: readonly CompletionEntry[]): string =>
  ({ bash, zsh, fish })[shell](entries)
