import type { Run } from '#core/run/run.ts'
import { formatAge, formatCost, formatDiff } from './format.ts'
import { safe, safeLine } from './safe.ts'
import type { Paint, Style } from './style.ts'
import { table } from './table.ts'
import { measureFor } from './width.ts'

/** What a run is now, in one word: its state, or how it ended. */
const runWord = (run: Pick<Run, 'state' | 'outcome'>): string =>
  run.state === 'finished' ? (run.outcome ?? 'finished') : run.state

const runPaint = (word: string, style: Style): Paint => {
  if (word === 'done') return style.green
  if (['queued', 'preparing', 'running', 'waiting'].includes(word)) return style.cyan
  return ['cancelled', 'interrupted', 'terminated'].includes(word) ? style.yellow : style.red
}

export async function runsTable(
  runs: readonly Run[],
  options: { width: number; style: Style; now: number },
): Promise<string> {
  if (runs.length === 0) return 'no runs yet: forge run "what you want done"\n'
  const { style } = options
  return table(
    [
      { title: 'ID' },
      { title: 'STATE', paint: (cell) => runPaint(cell.trim(), style)(cell) },
      { title: 'AGE', align: 'right' },
      { title: 'COST', align: 'right' },
      { title: 'MODEL' },
      { title: 'PROMPT', flexible: true },
    ],
    runs.map((run) => [
      run.id,
      runWord(run),
      formatAge(run.createdAt, options.now),
      formatCost(run.cost),
      safeLine(run.model),
      safeLine(run.prompt.slice(0, 400)),
    ]),
    {
      width: options.width,
      head: style.bold,
      measure: await measureFor(runs.map((run) => run.model + run.prompt.slice(0, 400)).join('')),
    },
  )
}

export function runDetails(run: Run, style: Style): string {
  const word = runWord(run)
  const { tokens } = run
  const rows: [string, string | null][] = [
    ['state', runPaint(word, style)(word)],
    ['reason', run.reason],
    ['prompt', run.prompt],
    ['source', run.source],
    ['model', run.model],
    ['sandbox', `${run.sandbox ?? 'none'} (${run.provider})`],
    ['check', run.check],
    ['turns', `${run.turns} of ${run.limits.maxTurns}`],
    [
      'tokens',
      `${tokens.input} in, ${tokens.output} out, ${tokens.cacheRead} from cache, ${tokens.cacheWrite} to cache`,
    ],
    ['cost', formatCost(run.cost)],
    ['diff', run.diff && formatDiff(run.diff)],
    ['created', run.createdAt],
    ['finished', run.finishedAt],
    ['summary', run.summary],
  ]
  const shown = rows.flatMap(([name, value]) =>
    value === null ? [] : [`${style.bold(name.padEnd(9))} ${indent(name === 'state' ? value : safe(value))}`],
  )
  return `${[style.bold(run.id), ...shown].join('\n')}\n`
}

const indent = (text: string): string =>
  text
    .trimEnd()
    .split('\n')
    .join(`\n${' '.repeat(10)}`)
