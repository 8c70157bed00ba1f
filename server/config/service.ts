import type { Config } from '#core/config/config.ts'
import type { ConfigItem, ConfigService } from '#core/config/service.ts'
import { parseSettingText, type Setting, settingOf, settings } from '#core/config/settings.ts'
import { ForgeError } from '#core/errors.ts'
import { isTree, type Tree, writeTree } from './files.ts'
import {
  type ConfigPlace,
  type ConfigTrees,
  composeConfig,
  fileOf,
  type LoadedConfig,
  loadConfig,
  readTrees,
} from './load.ts'

export interface LiveConfig extends ConfigService {
  /** What a run that starts now goes by. */
  current(): Config
}

const at = (tree: unknown, id: string): unknown =>
  id.split('.').reduce<unknown>((value, key) => (isTree(value) ? value[key] : undefined), tree)

/** A copy with the value at that path, or without it (and without what that leaves empty) when it is undefined. */
function withValue(tree: Tree, [key = '', ...rest]: readonly string[], value: unknown): Tree {
  const { [key]: old, ...others } = tree
  const next = rest.length === 0 ? value : withValue(isTree(old) ? old : {}, rest, value)
  const empty = next === undefined || (rest.length > 0 && Object.keys(next as Tree).length === 0)
  return empty ? others : { ...tree, [key]: next }
}

function itemOf(setting: Setting, { config, sources }: LoadedConfig): ConfigItem {
  // What the schema let through came from JSON or text.
  const value = at(config, setting.id) as ConfigItem['value'] | undefined
  return {
    id: setting.id,
    value: setting.secret ? null : (value ?? null),
    set: value !== undefined,
    source: sources.get(setting.id) ?? 'default',
    description: setting.description,
    secret: setting.secret,
    env: [...setting.env],
  }
}

/** A bad value that came with the call is the caller's, not a file's. */
function asInput(error: unknown, id: string): ForgeError {
  const known = ForgeError.from(error)
  const { code, message, hint, data } = known
  if (code === 'invalid_input') return new ForgeError(code, `${id}: ${message}`, { hint, data })
  const key = String(data?.key)
  if (code !== 'config_invalid' || (key !== id && !key.startsWith(`${id}.`))) return known
  return new ForgeError('invalid_input', `${key}: ${String(data?.expected)}`, { hint, data: { key } })
}

/**
 * The configuration of a running server. Changes are checked as a whole tree, written atomically and one after
 * the other, on top of what the files hold by then. Throws as `loadConfig`.
 */
export async function configService(place: ConfigPlace): Promise<LiveConfig> {
  let loaded = await loadConfig(place)
  let queue: Promise<unknown> = Promise.resolve()

  const change = async (setting: Setting, value: unknown): Promise<ConfigItem> => {
    const trees = await readTrees(place.dir)
    const part: keyof ConfigTrees = setting.secret ? 'secrets' : 'settings'
    const next = { ...trees, [part]: withValue(trees[part], setting.id.split('.'), value) }
    // A variable would hide a bad value from the check.
    composeConfig(next, { dir: place.dir, env: {} })
    const composed = composeConfig(next, place)
    await writeTree(fileOf(place.dir, setting), next[part], setting)
    loaded = composed
    return itemOf(setting, loaded)
  }
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = queue.then(work)
    queue = result.catch(() => undefined)
    return result
  }

  return {
    list: async () => settings.map((setting) => itemOf(setting, loaded)),
    get: async (id) => itemOf(settingOf(id), loaded),
    async set(id, value) {
      const setting = settingOf(id)
      try {
        const parsed = parseSettingText(setting, value)
        return await inTurn(() => change(setting, parsed))
      } catch (error) {
        throw asInput(error, id)
      }
    },
    async unset(id) {
      const setting = settingOf(id)
      return inTurn(() => change(setting, undefined))
    },
    current: () => loaded.config,
  }
}
