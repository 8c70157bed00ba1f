import type { Positional } from '../../program/command.ts'

export const sandboxPositional: Positional = {
  name: 'SANDBOX',
  describe: 'a sandbox’s name, its id, or the beginning of the id',
  required: true,
}
