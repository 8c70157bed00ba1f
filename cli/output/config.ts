import type { ConfigItem } from '#core/config/service.ts'
import { safe, safeLine } from './safe.ts'
import type { Style } from './style.ts'
import { table } from './table.ts'
import { measureFor } from './width.ts'

const configValue = (item: ConfigItem): string => {
  if (item.secret) return item.set ? '(set, not shown)' : ''
  if (item.value === null || item.value === undefined) return ''
  return typeof item.value === 'string' ? item.value : JSON.stringify(item.value)
}

export const configTable = async (
  items: readonly ConfigItem[],
  options: { width: number; style: Style },
): Promise<string> =>
  table(
    [{ title: 'SETTING' }, { title: 'VALUE', flexible: true }, { title: 'FROM' }],
    items.map((item) => [item.id, safeLine(configValue(item)), item.source]),
    { width: options.width, head: options.style.bold, measure: await measureFor(JSON.stringify(items)) },
  )

export const configDetails = (item: ConfigItem, style: Style): string =>
  `${[
    `${style.bold(item.id)} = ${safe(configValue(item)) || style.dim('not set')}`,
    `  ${safeLine(item.description)}`,
    `  from: ${item.source}; environment: ${item.env.join(', ')}`,
  ].join('\n')}\n`
