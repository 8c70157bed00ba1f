import path from 'node:path'
import { Config } from '#core/config/config.ts'
import type { ConfigSource } from '#core/config/service.ts'
import { findSetting, parseSettingText, type Setting, settings, settingsNear } from '#core/config/settings.ts'
import { ForgeError } from '#core/errors.ts'
import { egressPolicy } from '../egress/policy.ts'
import { isTree, readTree, type Tree } from './files.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface ConfigPlace {
  /** The configuration directory. */
  readonly dir: string
  readonly env: Environment
}

export interface LoadedConfig {
  readonly config: Config
  /** By the setting's id. */
  readonly sources: ReadonlyMap<string, ConfigSource>
}

/** What the two files hold, as they are. */
export interface ConfigTrees {
  readonly settings: Tree
  readonly secrets: Tree
}

/** A value and the place that it came from, in words. */
interface Found {
  readonly value: unknown
  readonly source: ConfigSource
  readonly origin: string
}

export const fileOf = (dir: string, { secret }: { secret: boolean }): string =>
  path.join(dir, secret ? 'secrets.json' : 'config.json')

export async function readTrees(dir: string): Promise<ConfigTrees> {
  const [plain, secrets] = await Promise.all([
    readTree(fileOf(dir, { secret: false }), { secret: false }),
    readTree(fileOf(dir, { secret: true }), { secret: true }),
  ])
  return { settings: plain, secrets }
}

function collect(
  tree: Tree,
  place: { file: string; secret: boolean; path: string },
  into: Map<string, Found>,
): void {
  for (const [key, value] of Object.entries(tree)) {
    const id = place.path === '' ? key : `${place.path}.${key}`
    const setting = findSetting(id)
    if (setting) {
      if (setting.secret !== place.secret)
        throw new ForgeError(
          'config_invalid',
          `${place.file}: ${id} belongs in ${setting.secret ? 'secrets' : 'config'}.json`,
          {
            hint: `take it out and run: forge config set ${id} …`,
            data: { file: place.file, key: id },
          },
        )
      into.set(id, { value, source: 'file', origin: place.file })
      continue
    }
    const section = settings.some((each) => each.id.startsWith(`${id}.`))
    if (section && isTree(value)) collect(value, { ...place, path: id }, into)
    else
      throw new ForgeError(
        'config_invalid',
        `${place.file}: ${id} ${section ? 'must be an object' : 'is no setting'}`,
        {
          hint: settingsNear(id),
          data: { file: place.file, key: id },
        },
      )
  }
}

/** An empty variable counts as unset: that is how CI systems pass a secret that does not exist. */
function fromEnvironment(setting: Setting, env: Environment): Found | null {
  const variable = setting.env.find((name) => env[name])
  const text = variable === undefined ? undefined : env[variable]
  if (!variable || !text) return null
  const origin = `the environment variable ${variable}`
  try {
    return { value: parseSettingText(setting, text), source: 'environment', origin }
  } catch (error) {
    throw new ForgeError('config_invalid', `${origin}: ${ForgeError.from(error).message}`, {
      data: { key: setting.id, variable },
    })
  }
}

function nest(found: ReadonlyMap<string, Found>): Tree {
  const root: Tree = {}
  for (const [id, { value }] of found) {
    const keys = id.split('.')
    const last = keys.pop() as string
    let tree = root
    for (const key of keys) {
      tree[key] ??= {}
      tree = tree[key] as Tree
    }
    tree[last] = value
  }
  return root
}

function badValue(id: string, message: string, found: ReadonlyMap<string, Found>): ForgeError {
  const setting = settings.find((each) => id === each.id || id.startsWith(`${each.id}.`))
  const origin = found.get(setting?.id ?? id)?.origin ?? 'the default'
  return new ForgeError('config_invalid', `${origin}: ${id}: ${message}`, {
    ...(setting ? { hint: `${setting.id} is ${setting.description}` } : {}),
    data: { key: id, origin, expected: message },
  })
}

/** Checks the whole tree, the environment laid over it. Throws `config_invalid` naming the place, the key and what is expected. */
export function composeConfig(trees: ConfigTrees, { dir, env }: ConfigPlace): LoadedConfig {
  const found = new Map<string, Found>()
  for (const [tree, secret] of [
    [trees.settings, false],
    [trees.secrets, true],
  ] as const)
    collect(tree, { file: fileOf(dir, { secret }), secret, path: '' }, found)
  for (const setting of settings) {
    const given = fromEnvironment(setting, env)
    if (given) found.set(setting.id, given)
  }
  const parsed = Config.safeParse(nest(found))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw badValue(issue?.path.map(String).join('.') ?? '', issue?.message ?? 'is not valid', found)
  }
  try {
    egressPolicy(parsed.data.egress.allow)
  } catch (error) {
    throw badValue('egress.allow', ForgeError.from(error).message, found)
  }
  const sources = new Map(settings.map(({ id }) => [id, found.get(id)?.source ?? 'default']))
  return { config: parsed.data, sources }
}

/**
 * Reads `config.json` and `secrets.json` (which only its owner may use), lays the environment over them and
 * checks the whole. Throws `config_invalid`.
 */
export async function loadConfig(place: ConfigPlace): Promise<LoadedConfig> {
  return composeConfig(await readTrees(place.dir), place)
}
