import { z } from 'zod'
import type { ConfigItem, ConfigService } from '#core/config/service.ts'
import { parseSettingText, type Setting, settingOf, settings } from '#core/config/settings.ts'

/** Settings without a file. */
export class MemoryConfig implements ConfigService {
  readonly #values = new Map<string, ConfigItem['value']>()

  async list(): Promise<ConfigItem[]> {
    return settings.map((setting) => this.#item(setting))
  }

  async get(id: string): Promise<ConfigItem> {
    return this.#item(settingOf(id))
  }

  async set(id: string, value: string | string[]): Promise<ConfigItem> {
    const setting = settingOf(id)
    this.#values.set(id, z.json().parse(parseSettingText(setting, value)))
    return this.#item(setting)
  }

  async unset(id: string): Promise<ConfigItem> {
    this.#values.delete(id)
    return this.#item(settingOf(id))
  }

  #item(setting: Setting): ConfigItem {
    const { id, description, secret, env } = setting
    const set = this.#values.has(id)
    return {
      id,
      value: secret ? null : (this.#values.get(id) ?? null),
      set,
      source: set ? 'file' : 'default',
      description,
      secret,
      env: [...env],
    }
  }
}
