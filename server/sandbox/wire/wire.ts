import type { Duplex, Readable, Writable } from 'node:stream'

export interface ExecRequest {
  /** Run by the sandbox's `bash -c`; use `quote()` for argument lists. */
  readonly command: string
  readonly cwd?: string
  readonly env?: Record<string, string>
  /** Milliseconds; then the whole process group gets SIGTERM and, 2 s later, SIGKILL. */
  readonly timeout?: number
  readonly signal?: AbortSignal
}

export interface ExecExit {
  /** Null when a signal ended it. */
  readonly code: number | null
  /** Without the `SIG`, as SSH gives it. */
  readonly signal: string | null
  readonly timedOut: boolean
  readonly aborted: boolean
}

export interface ExecProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /** To the whole process group. */
  kill(signal: 'TERM' | 'KILL' | 'INT' | 'HUP'): void
  /**
   * Resolves after both outputs have ended, as far as they are read by then: one that nobody reads is not waited
   * for and keeps its last bytes. Rejects with `sandbox_lost` when the wire breaks.
   */
  readonly exit: Promise<ExecExit>
}

export interface RunResult extends ExecExit {
  readonly stdout: Buffer
  readonly stderr: Buffer
  /** Bytes that came beyond `maxOutput` and were dropped; the command was not stopped for it. */
  readonly droppedBytes: number
}

export interface TerminalRequest extends Omit<ExecRequest, 'command' | 'timeout'> {
  /** Absent: a login shell. */
  readonly command?: string
  readonly columns: number
  readonly rows: number
  /** The TERM of the program; default `xterm-256color`. */
  readonly term?: string
}

export interface TerminalChannel {
  readonly stream: Duplex
  resize(columns: number, rows: number): void
  readonly exit: Promise<ExecExit>
}

export interface FileStat {
  readonly kind: 'file' | 'directory' | 'symlink' | 'other'
  readonly size: number
  /** Permission bits. */
  readonly mode: number
  /** Milliseconds since the epoch. */
  readonly mtime: number
}

/** Paths are absolute in the sandbox. Errors are `not_found`, `denied`, `conflict`, `disk_full`, `too_large`. */
export interface WireFiles {
  /** Throws `too_large` rather than give a part. */
  read(path: string, maxBytes: number): Promise<Buffer>
  /** Makes missing parent directories. The file appears whole or not at all. */
  write(path: string, content: Buffer | string, mode?: number): Promise<void>
  /** Does not follow a symlink at the end of the path. */
  stat(path: string): Promise<FileStat>
  list(path: string): Promise<{ name: string; stat: FileStat }[]>
  remove(path: string): Promise<void>
}

/** One SSH connection into one sandbox. All methods throw `sandbox_lost` once it is closed. */
export interface Wire {
  exec(request: ExecRequest): Promise<ExecProcess>
  /** Collects the output, at most `maxOutput` bytes of each stream (default 1 MiB; the first half and the last half are kept). */
  run(request: ExecRequest & { input?: Buffer | string; maxOutput?: number }): Promise<RunResult>
  terminal(request: TerminalRequest): Promise<TerminalChannel>
  readonly files: WireFiles
  /** To 127.0.0.1:`port` inside. Throws `not_found` when nothing listens. */
  forwardIn(port: number): Promise<Duplex>
  /** 127.0.0.1:`port` inside becomes `onConnection` here. */
  forwardOut(port: number, onConnection: (stream: Duplex) => void): Promise<void>
  close(): void
  /** Resolves, with the reason, when the connection has ended. That says nothing about the sandbox. */
  readonly closed: Promise<string>
}
