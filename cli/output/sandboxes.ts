import type { Sandbox } from '#core/sandbox/sandbox.ts'
import { formatAge } from './format.ts'
import { safeLine } from './safe.ts'
import type { Style } from './style.ts'
import { table } from './table.ts'
import { measureFor } from './width.ts'

export async function sandboxesTable(
  sandboxes: readonly Sandbox[],
  options: { width: number; style: Style; now: number },
): Promise<string> {
  if (sandboxes.length === 0) return 'no sandboxes: forge sandbox create makes one\n'
  const { style } = options
  const paint = (cell: string) =>
    cell.startsWith('running') ? style.green(cell) : cell.startsWith('failed') ? style.red(cell) : cell
  return table(
    [
      { title: 'ID' },
      { title: 'NAME' },
      { title: 'STATE', paint },
      { title: 'PROVIDER' },
      { title: 'AGE', align: 'right' },
      { title: 'RUN' },
      { title: 'REASON', flexible: true },
    ],
    sandboxes.map((sandbox) => [
      sandbox.id,
      sandbox.name ?? '-',
      sandbox.state,
      safeLine(sandbox.provider),
      formatAge(sandbox.createdAt, options.now),
      sandbox.run ?? '-',
      safeLine(sandbox.reason ?? ''),
    ]),
    {
      width: options.width,
      head: style.bold,
      measure: await measureFor(sandboxes.map((sandbox) => sandbox.reason ?? '').join('')),
    },
  )
}
