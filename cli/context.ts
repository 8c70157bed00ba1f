import type { Paths } from '#core/config/paths.ts'
import type { Http } from './client/http.ts'
import type { Host } from './host.ts'
import type { Style } from './output/style.ts'

/** What a command works with. */
export interface Context {
  readonly host: Host
  readonly places: Paths
  /** Colours for standard output and standard error. */
  readonly style: Style
  readonly errStyle: Style
  /** To standard output. Throws ReaderGone, `disk_full`. */
  print(text: string): Promise<void>
  /** One JSON document on standard output. */
  printJson(value: unknown): Promise<void>
  /** A line for people on standard error; a closed one is nobody's loss. */
  note(text: string): void
  /** The running server, or one that this call starts. */
  server(): Promise<Http>
  /** Null when none is running; never starts one. */
  runningServer(): Promise<Http | null>
}
