import { z } from 'zod'
import { byteSize, oneLine, shownHead, shownTail, thousands } from '../output.ts'
import { defineTool, type ToolOutcome } from '../tool.ts'
import { type CommandReport, keptBytes, runCommand } from './command.ts'
import prompt from './prompt.liquid'

const defaultSeconds = 120
const maxSeconds = 3600

/** Linux takes at most 128 KiB in one argument. */
const maxCommandBytes = 120_000

const input = z.strictObject({
  command: z
    .string()
    .min(1, 'is empty')
    .refine((command) => !command.includes('\0'), 'contains a NUL')
    .refine(
      (command) => Buffer.byteLength(command) <= maxCommandBytes,
      `is longer than ${maxCommandBytes} bytes: write a script with the write tool and run that`,
    )
    .describe('what bash runs'),
  timeout_seconds: z.number().int().min(1).max(maxSeconds).optional(),
})

export const shellTool = defineTool({
  name: 'shell',
  prompt,
  facts: {
    default_seconds: defaultSeconds,
    max_seconds: maxSeconds,
    shown: thousands(shownHead + shownTail),
    kept: byteSize(keptBytes),
  },
  input,
  readOnly: false,
  async run({ command, timeout_seconds }, { wire, workdir, signal, keep, remaining }) {
    const seconds = timeout_seconds ?? defaultSeconds
    const timeout = Math.max(1, Math.min(seconds * 1000, remaining()))
    const report = await runCommand(wire, { command, cwd: workdir, signal, timeout, keep })
    return outcome(command, report, Math.ceil(timeout / 1000))
  },
})

const signals: Record<number, string> = {
  129: 'SIGHUP',
  130: 'SIGINT',
  134: 'SIGABRT',
  135: 'SIGBUS',
  136: 'SIGFPE',
  137: 'SIGKILL: perhaps it ran out of memory',
  139: 'SIGSEGV',
  141: 'SIGPIPE',
  143: 'SIGTERM',
}

function outcome(command: string, report: CommandReport, seconds: number): ToolOutcome {
  const ended = endOf(report, seconds)
  const notes = [ended]
  if (report.background && report.kept !== null)
    notes.push(`something that it started still runs and writes; what it writes goes to ${report.kept}`)
  else if (report.kept !== null) notes.push(wholeOutput(report, report.kept))
  if (report.lost)
    notes.push(
      'a part of the output is lost: it could not be kept, most likely because no space is left in the sandbox',
    )
  const text = report.text === '' ? '(no output)' : report.text.replace(/\n$/, '')
  return {
    title: `${oneLine(command, 200)}${report.exitCode === null ? ` (${ended})` : ''}`,
    content: `${text}\n${notes.map((note) => `[${note}]`).join('\n')}`,
    isError: report.exitCode !== 0,
    exitCode: report.exitCode,
    ...(report.kept === null ? {} : { kept: report.kept }),
  }
}

function endOf(report: CommandReport, seconds: number): string {
  if (report.timedOut) return `timed out after ${seconds} s and was stopped`
  if (report.aborted) return 'interrupted'
  if (report.exitCode === null) return 'ended without an exit code: its shell was killed'
  const signal = signals[report.exitCode]
  return `exit code ${report.exitCode}${signal === undefined ? '' : `, ${signal}`}`
}

function wholeOutput(report: CommandReport, kept: string): string {
  return report.beyond
    ? `more than ${byteSize(report.bytes)} in all; the first ${byteSize(report.bytes)} are in ${kept}: look with read or search`
    : `${thousands(report.lines)} lines, ${byteSize(report.bytes)} in all; the whole is in ${kept}: look with read or search`
}
