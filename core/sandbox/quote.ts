import { ForgeError } from '../errors.ts'

/** Without `=`: one at the beginning would be expanded by zsh, and `A=b` as the first word is an assignment. */
const plain = /^[A-Za-z0-9_./:@%+,-]+$/

/** One argument for a POSIX shell. Throws `invalid_input` for a NUL, which no argument can hold. */
export function quoteOne(arg: string): string {
  if (arg.includes('\0')) throw new ForgeError('invalid_input', 'an argument of a command holds a NUL byte')
  return plain.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`
}

/** An argument list as one POSIX shell command. */
export const quote = (args: readonly string[]): string => args.map(quoteOne).join(' ')
