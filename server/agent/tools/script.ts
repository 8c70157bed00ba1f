import { type ErrorCode, ForgeError } from '#core/errors.ts'
import { quote } from '#core/sandbox/quote.ts'
import type { RunResult } from '../../sandbox/wire/wire.ts'
import type { ToolContext } from './tool.ts'

const timeoutMs = 60_000

/** Exit codes of a script with what they mean. */
export type Failures = Readonly<Record<number, readonly [ErrorCode, string]>>

interface Script {
  /** Bash; `$1` and on are `args`. */
  readonly text: string
  readonly args: readonly string[]
  readonly failures: Failures
  /** For messages: what it is about. */
  readonly about: string
}

/** Runs one of the tools' own short scripts. Throws what `failures` says, `too_large` when it takes too long, `interrupted`. */
export async function runScript(context: ToolContext, script: Script): Promise<RunResult> {
  const result = await context.wire.run({
    command: `set -- ${quote(script.args)}\n${script.text}`,
    cwd: '/',
    timeout: timeoutMs,
    signal: context.signal,
  })
  if (result.aborted) throw new ForgeError('interrupted', `${script.about}: interrupted`)
  if (result.timedOut)
    throw new ForgeError('too_large', `${script.about}: it took longer than ${timeoutMs / 1000} s`)
  const failure = script.failures[result.code ?? 0]
  if (failure !== undefined) throw new ForgeError(failure[0], `${script.about}: ${failure[1]}`)
  return result
}
