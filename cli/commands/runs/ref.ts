import type { Positional } from '../../program/command.ts'
import { number } from '../../program/values.ts'

export const runPositional: Positional = {
  name: 'RUN',
  describe: 'a run’s id or the beginning of it; the last run where it is left out',
  required: false,
}

export const afterOption = number({
  describe: 'only events after this seq',
  placeholder: 'N',
  integer: true,
  min: 0,
  max: Number.MAX_SAFE_INTEGER,
})
