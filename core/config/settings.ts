import { z } from 'zod'
import { ForgeError } from '../errors.ts'
import { Config } from './config.ts'

/** How a text becomes a value of the setting. */
type SettingKind = 'string' | 'number' | 'boolean' | 'list' | 'json'

/** One leaf of the configuration tree. */
export interface Setting {
  /** The path with dots, for example `model.anthropic.apiKey`. */
  readonly id: string
  readonly kind: SettingKind
  readonly description: string
  readonly secret: boolean
  /** The environment variables that set it; the first one that is set wins. */
  readonly env: readonly string[]
}

/** What other tools call the same thing, and the short `FORGE_MODEL`. */
const aliases: Readonly<Record<string, string>> = {
  'model.default': 'FORGE_MODEL',
  'model.anthropic.apiKey': 'ANTHROPIC_API_KEY',
  'model.anthropic.baseUrl': 'ANTHROPIC_BASE_URL',
  'model.openai.apiKey': 'OPENAI_API_KEY',
  'model.openai.baseUrl': 'OPENAI_BASE_URL',
  'sandbox.docker.host': 'DOCKER_HOST',
  'sandbox.docker.certificates': 'DOCKER_CERT_PATH',
  'store.databaseUrl': 'DATABASE_URL',
}

/** `run.maxTurns` is FORGE_RUN_MAX_TURNS. */
const envName = (id: string): string =>
  `FORGE_${id
    .replaceAll('.', '_')
    .replace(/(?<=[a-z0-9])[A-Z]/g, '_$&')
    .toUpperCase()}`

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  let inner = schema
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault)
    inner = inner.unwrap()
  return inner
}

function kindOf(schema: z.core.$ZodType): SettingKind {
  if (schema instanceof z.ZodNumber) return 'number'
  if (schema instanceof z.ZodBoolean) return 'boolean'
  if (schema instanceof z.ZodArray) return 'list'
  return schema instanceof z.ZodRecord ? 'json' : 'string'
}

function leaves(schema: z.core.$ZodType, path: string): Setting[] {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodObject)
    return Object.entries(inner.shape).flatMap(([key, child]) =>
      leaves(child as z.core.$ZodType, path === '' ? key : `${path}.${key}`),
    )
  const meta = { ...z.globalRegistry.get(inner), ...z.globalRegistry.get(schema) }
  const alias = aliases[path]
  return [
    {
      id: path,
      kind: kindOf(inner),
      description: meta.description ?? '',
      secret: meta.secret === true,
      env: [envName(path), ...(alias === undefined ? [] : [alias])],
    },
  ]
}

/** Every setting there is, in the order of the tree. */
export const settings: readonly Setting[] = leaves(Config, '')

const byId = new Map(settings.map((setting) => [setting.id, setting]))

export function findSetting(id: string): Setting | undefined {
  return byId.get(id)
}

/** Throws `not_found` with what there is instead. */
export function settingOf(id: string): Setting {
  const setting = byId.get(id)
  if (setting) return setting
  throw new ForgeError('not_found', `there is no setting ${JSON.stringify(id)}`, { hint: settingsNear(id) })
}

/** Names the settings of the section that an unknown id seems to belong to, or all sections. */
export function settingsNear(id: string): string {
  const section = id.split('.')[0] ?? ''
  const near = settings.filter((setting) => setting.id.startsWith(`${section}.`)).map((setting) => setting.id)
  if (near.length > 0) return `${section} has ${near.join(', ')}`
  return `the sections are ${[...new Set(settings.map((setting) => setting.id.split('.')[0]))].join(', ')}`
}

const truths: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  '1': true,
  false: false,
  no: false,
  off: false,
  '0': false,
}

function parseJson(text: string, expected: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ForgeError('invalid_input', `expected ${expected}`, { cause })
  }
}

/**
 * Reads what a person typed, on the command line or in a variable. A list is JSON, several texts, or one with
 * commas or spaces in between. The schema checks the value afterwards. Throws `invalid_input`, which never
 * repeats the text: it may be a secret.
 */
export function parseSettingText(setting: Setting, text: string | readonly string[]): unknown {
  const [only, ...more] = typeof text === 'string' ? [text] : text
  if (setting.kind === 'list') {
    if (only !== undefined && more.length === 0 && /^\s*\[\s*["\]]/.test(only))
      return parseJson(only, 'a JSON array')
    return typeof text === 'string' ? text.split(/[\s,]+/).filter(Boolean) : [...text]
  }
  if (only === undefined || more.length > 0)
    throw new ForgeError(
      'invalid_input',
      `expected one value, not ${more.length + (only === undefined ? 0 : 1)}`,
    )
  if (setting.kind === 'json') return parseJson(only, 'JSON')
  if (setting.kind === 'number') {
    const value = only.trim() === '' ? Number.NaN : Number(only)
    if (!Number.isFinite(value)) throw new ForgeError('invalid_input', 'expected a number')
    return value
  }
  if (setting.kind === 'boolean') {
    const value = truths[only.trim().toLowerCase()]
    if (value === undefined) throw new ForgeError('invalid_input', 'expected true or false')
    return value
  }
  return only
}
