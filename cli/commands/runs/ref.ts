import type { Positional } from '../../program/command.ts'

export const runPositional: Positional = {
  name: 'RUN',
  describe: 'a run’s id or the beginning of it; the last run where it is left out',
  required: false,
}
