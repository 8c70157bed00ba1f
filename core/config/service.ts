import { z } from 'zod'

/** Where a setting's value comes from; the environment wins over the file. */
export const ConfigSource = z.enum(['default', 'file', 'environment'])
export type ConfigSource = z.infer<typeof ConfigSource>

/** One setting as `forge config` shows it. */
export const ConfigItem = z.object({
  id: z.string(),
  /** Null when there is none, and always for a secret. */
  value: z.json(),
  /** Whether there is a value: all that is said of a secret. */
  set: z.boolean(),
  source: ConfigSource,
  description: z.string(),
  secret: z.boolean(),
  /** The variables that set it, the strongest first. */
  env: z.array(z.string()),
})
export type ConfigItem = z.infer<typeof ConfigItem>

export interface ConfigService {
  list(): Promise<ConfigItem[]>
  /** Throws `not_found`. */
  get(id: string): Promise<ConfigItem>
  /**
   * Writes the value to the file, read by the setting's type: numbers, true and false, JSON, a list as JSON or
   * as several texts. Later runs use it. When the result's source is `environment`, a variable still overrides
   * it. Throws `not_found`, `invalid_input`, `config_invalid`, `disk_full`.
   */
  set(id: string, value: string | string[]): Promise<ConfigItem>
  /** Takes the value out of the file. Idempotent. Throws `not_found`, `config_invalid`, `disk_full`. */
  unset(id: string): Promise<ConfigItem>
}
