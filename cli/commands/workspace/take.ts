import { ForgeError } from '#core/errors.ts'
import type { RunId } from '#core/id.ts'
import type { Context } from '../../context.ts'

export interface TakeRequest {
  readonly run: RunId
  /** Undefined: into the working tree. */
  readonly branch: string | undefined
}

/** Takes the work of a run and says in a line what was done. */
export async function takeWork(_context: Context, _request: TakeRequest): Promise<{ said: string }> {
  throw new ForgeError('repository_invalid', 'not here yet')
}
