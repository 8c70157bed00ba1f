import type { Enforcements, ProviderReport } from '#core/sandbox/sandbox.ts'
import { formatDuration } from './format.ts'
import { safe, safeLine } from './safe.ts'
import type { Style } from './style.ts'

const limits = ['memory', 'pids', 'disk', 'cpus'] as const satisfies readonly (keyof Enforcements)[]

function provider(report: ProviderReport, style: Style): string {
  const word = report.works ? style.green('works') : style.red('does not work')
  const boot = report.bootMs === null ? '' : `, first command after ${formatDuration(report.bootMs)}`
  const kernel = report.kernel === 'own' ? 'a kernel of its own' : 'the host’s kernel'
  const lines = [`${style.bold(safeLine(report.id))}  ${word}${boot}, ${kernel}`, ...indent(report.detail)]
  if (report.enforcement)
    for (const limit of limits) {
      const { enforced, how } = report.enforcement[limit]
      lines.push(
        `  ${limit.padEnd(6)}  ${enforced ? style.green('enforced') : style.yellow('not enforced')}: ${safeLine(how)}`,
      )
    }
  if (report.fix.length > 0) lines.push('  to mend it:', ...report.fix.map((fix) => `    ${safeLine(fix)}`))
  return lines.join('\n')
}

const indent = (text: string): string[] =>
  safe(text)
    .trim()
    .split('\n')
    .map((line) => `  ${line}`)

export const doctorText = (reports: readonly ProviderReport[], style: Style): string =>
  reports.length === 0
    ? 'this server has no sandbox provider\n'
    : `${reports.map((report) => provider(report, style)).join('\n\n')}\n`
