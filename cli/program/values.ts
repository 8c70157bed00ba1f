import type { List, Value } from './command.ts'

type Settings = { describe: string; placeholder: string; alias?: string }

const nonEmpty = (text: string): string => {
  if (text === '') throw new Error('is empty')
  return text
}

export const text = (settings: Settings): Value<string> => ({ kind: 'value', parse: nonEmpty, ...settings })

export const texts = (settings: Settings): List<string> => ({ kind: 'list', parse: nonEmpty, ...settings })

/** A number within bounds, both included. */
export const number = (
  settings: Settings & { integer?: boolean; min: number; max: number },
): Value<number> => ({
  kind: 'value',
  ...settings,
  parse: (word) => {
    const { integer = false, min, max } = settings
    const value = /^[+-]?(\d+\.?\d*|\.\d+)$/.test(word) ? Number(word) : Number.NaN
    if (Number.isNaN(value) || (integer && !Number.isInteger(value)))
      throw new Error(`${JSON.stringify(word)} is not ${integer ? 'a whole number' : 'a number'}`)
    if (value < min || value > max) throw new Error(`${word} is not between ${min} and ${max}`)
    return value
  },
})

const unitSeconds = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 } as const

/** `90`, `90s`, `10m`, `1.5h`; gives seconds. */
export const duration = (settings: Settings & { max: number }): Value<number> => ({
  kind: 'value',
  ...settings,
  parse: (word) => {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(word)
    if (!match) throw new Error(`${JSON.stringify(word)} is not a duration such as 90, 90s, 10m or 1h`)
    const seconds = Number(match[1]) * unitSeconds[(match[2] ?? 's') as keyof typeof unitSeconds]
    if (seconds <= 0 || seconds > settings.max)
      throw new Error(`${word} is not between 0 and ${settings.max} s`)
    return seconds
  },
})
