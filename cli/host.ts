import type { ReadStream } from 'node:tty'
import type { Sink } from './output/sink.ts'

/** What the program sees of the machine it runs on. Only a process's main file makes one. */
export interface Host {
  /** The folder of the installed package. */
  readonly root: string
  readonly version: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly home: string
  readonly uid: number
  /** The Node that runs us. */
  readonly node: string
  /** Opened at the first use. */
  readonly stdin: ReadStream
  readonly stdout: Sink
  readonly stderr: Sink
  /** Which of the three are terminals. */
  readonly tty: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean }
  /** The terminal's size; 80 by 24 where there is none. */
  size(): { columns: number; rows: number }
  /** Calls back with the terminal's new size; gives back what ends that. */
  onResize(handler: (size: { columns: number; rows: number }) => void): () => void
  /** Replaces the signal's default effect until the result is called. */
  onSignal(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP', handler: () => void): () => void
  /** Calls back when the process ends, however that comes about; the handler must be synchronous. */
  onExit(handler: () => void): () => void
  /** Ends the process now, whatever is still going on. */
  exit(code: number): never
  now(): number
}
