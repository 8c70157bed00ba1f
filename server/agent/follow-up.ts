import type { EventData } from '#core/event/event.ts'
import type { ToolCall } from '#core/model/message.ts'
import checkPrompt from './check-failed.liquid'
import { renderPrompt } from './prompts.ts'
import { oneLine } from './tools/output.ts'

/*
 * What Forge itself says to the model. Each text follows from recorded events alone, so that a rebuilt
 * conversation has the same words.
 */

export const answerWasEmpty = (): string =>
  'Your answer was empty. Go on with the task; if it is done, say in a few words what you did.'

export const answerWasCut = (): string =>
  'Your answer reached the length limit and was cut. Go on from there, in shorter steps.'

export const checkDidNotPass = (check: EventData<'check.finished'>): string =>
  renderPrompt(checkPrompt, {
    command: check.command,
    ended: check.exitCode === null ? 'did not end by itself' : `ended with exit code ${check.exitCode}`,
    output: check.output,
  })

/** For a call that began before the server stopped. */
export const callWasInterrupted = (): string =>
  'Interrupted: Forge was restarted while this ran. Whether and how far it took effect is not known, and it was not run again. Look at the state of things before you go on.'

export const callWasCancelled = (): string =>
  'Interrupted before it ended; how far it took effect is not known.'

export const noSuchTool = (name: string, known: readonly string[]): string =>
  `There is no tool named ${oneLine(name, 100)}. The tools are: ${known.join(', ')}.`

export function malformedCall(call: ToolCall, cut: boolean): string {
  if (cut)
    return `Nothing was run: your answer reached the length limit in the middle of this call of ${call.name}. Do it in smaller steps, for example write a long file in parts.`
  const raw = call.raw === undefined ? '' : ` They were: ${oneLine(call.raw, 300)}`
  return `Nothing was run: the arguments of this call of ${call.name} are no JSON object.${raw}`
}
