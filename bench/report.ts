import { cpus, release, totalmem } from 'node:os'
import { type Benchmark, type Comparison, type Findings, isMet, ratioOf } from './benchmark.ts'
import type { Sample } from './measure.ts'

export function machine() {
  const found = {
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release().split('-')[0] ?? '',
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
  }
  const { cores, memoryGb, platform, kernel, node } = found
  const text = `${platform}, ${cores} cores, ${memoryGb} GB, kernel ${kernel}, Node ${node}`
  return { ...found, text }
}

const digits = (value: number): string =>
  value >= 1000
    ? Math.round(value).toLocaleString('en-US')
    : value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)

const shown = ({ median, p95 }: Sample, unit: Comparison['unit']): string =>
  unit === 'ms' ? `${digits(median)} ms (p95 ${digits(p95)})` : `${digits(median)} /s`

const verdicts = new Map([
  [true, 'met'],
  [false, 'MISSED'],
])

function rowOf(comparison: Comparison): string[] {
  const { ours, peer, unit, oursSample, peerSample, bound } = comparison
  const met = isMet(comparison)
  return [
    ours,
    shown(oursSample, unit),
    peer,
    shown(peerSample, unit),
    ratioOf(comparison).toFixed(2),
    bound === undefined ? '' : `${bound.kind} ${bound.ratio}`,
    (met !== null && verdicts.get(met)) || '',
  ]
}

const head = ['ours', 'median', 'beside it', 'median', 'ratio', 'bound', '']

/** A Markdown table that is also aligned for a terminal. */
export function tableOf(benchmark: Benchmark, findings: Findings): string {
  const rows = [head, ...findings.comparisons.map(rowOf)]
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const [first = [], ...rest] = rows
  const rule = line(widths.map((width) => '-'.repeat(width)))
  const table = rest.length === 0 ? [] : [line(first), rule, ...rest.map(line)]
  const skipped = (findings.skipped ?? []).map(({ what, reason }) => `skipped: ${what}: ${reason}`)
  return [
    `\n## ${benchmark.name}: ${benchmark.about}\n`,
    ...table,
    ...(findings.notes ?? []),
    ...skipped,
  ].join('\n')
}

export const documentOf = (all: readonly { benchmark: Benchmark; findings: Findings }[]) => ({
  schema: 'forge.bench/1',
  machine: machine(),
  benchmarks: all.map(({ benchmark: { name, about }, findings }) => ({
    id: name,
    about,
    notes: findings.notes ?? [],
    skipped: findings.skipped ?? [],
    comparisons: findings.comparisons.map((comparison) => ({
      ...comparison,
      ratio: ratioOf(comparison),
      met: isMet(comparison),
    })),
  })),
})
