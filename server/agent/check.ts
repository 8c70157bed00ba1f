import { ForgeError } from '#core/errors.ts'
import { assertGoesOn, untilAborted } from './interruption.ts'
import type { Session } from './session.ts'
import { lastLines } from './tools/output.ts'
import { type CommandReport, runCommand } from './tools/shell/command.ts'
import { toldToModel } from './tools/tool.ts'

const maxMs = 30 * 60_000
const maxOutput = 8 * 1024
const graceMs = 3000

/** Runs the check and records it; what came of it is the last of `history.checks`. Throws the reason of an abort, `sandbox_lost`. */
export async function runCheck(session: Session, command: string): Promise<void> {
  const { options, history, signal } = session
  assertGoesOn(signal)
  const attempt = history.checkAttempts + 1
  await session.record({ actor: 'server', type: 'check.started', data: { command, attempt } })
  const began = options.clock.now()
  const { exitCode, output } = await untilAborted(perform(session, command, attempt), signal, graceMs)
  // A check that was cut off says nothing about the work, so it has no result; it runs again if the run goes on.
  assertGoesOn(signal)
  await session.record({
    actor: 'sandbox',
    type: 'check.finished',
    data: {
      command,
      attempt,
      exitCode,
      passed: exitCode === 0,
      output: lastLines(output, maxOutput),
      ms: options.clock.now() - began,
    },
  })
}

async function perform(
  { options, signal, remaining, outputFile }: Session,
  command: string,
  attempt: number,
): Promise<{ exitCode: number | null; output: string }> {
  const timeout = Math.max(1, Math.min(maxMs, remaining()))
  const keep = outputFile(`check-${attempt}`)
  try {
    const report = await runCommand(options.wire, { command, cwd: options.workdir, signal, timeout, keep })
    return { exitCode: report.exitCode, output: textOf(report, timeout) }
  } catch (thrown) {
    if (!(thrown instanceof ForgeError) || !toldToModel.includes(thrown.code)) throw thrown
    return { exitCode: null, output: thrown.message }
  }
}

function textOf(report: CommandReport, timeout: number): string {
  const notes = [
    ...(report.timedOut ? [`[stopped after ${Math.ceil(timeout / 1000)} s]`] : []),
    ...(report.kept === null ? [] : [`[the whole output is in ${report.kept}]`]),
  ]
  return [report.text.replace(/\n$/, ''), ...notes].join('\n')
}
