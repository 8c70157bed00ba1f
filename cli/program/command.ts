import type { Context } from '../context.ts'

interface OptionBase {
  readonly describe: string
  /** One letter. */
  readonly alias?: string
}

/** A switch. */
interface Flag extends OptionBase {
  readonly kind: 'flag'
}

/** Takes one value, shown as `placeholder` in the help. */
export interface Value<T> extends OptionBase {
  readonly kind: 'value'
  readonly placeholder: string
  /** Throws an Error whose message completes "--name: …". */
  readonly parse: (text: string) => T
}

/** May be given more than once. */
export interface List<T> extends OptionBase {
  readonly kind: 'list'
  readonly placeholder: string
  readonly parse: (text: string) => T
}

export type Option = Flag | Value<unknown> | List<unknown>
export type Options = Readonly<Record<string, Option>>

type OptionValues<O extends Options> = {
  readonly [K in keyof O]: O[K] extends Value<infer T>
    ? T | undefined
    : O[K] extends List<infer T>
      ? readonly T[]
      : boolean
}

export interface Positional {
  readonly name: string
  readonly describe: string
  readonly required: boolean
}

/** What a command was called with. `positionals[i]` is undefined where an optional one is missing. */
export interface Arguments<O extends Options = Options> {
  readonly options: OptionValues<O>
  readonly positionals: readonly (string | undefined)[]
  /** Everything after `--`; empty unless the command takes a rest. */
  readonly rest: readonly string[]
}

export interface Command<O extends Options = Options> {
  /** The help's paragraphs after the usage line. */
  readonly describe: string
  readonly positionals: readonly Positional[]
  /** Takes words after `--`, described so. */
  readonly rest?: { readonly name: string; readonly describe: string }
  readonly options: O
  /** Pairs that contradict each other. */
  readonly conflicts?: readonly (readonly [keyof O & string, keyof O & string])[]
  /** Command line and what it does. */
  readonly examples: readonly (readonly [string, string])[]
  /**
   * Resolves with the exit code. Undefined: something that was loaded has taken the process over and ends it.
   * Throws ForgeError.
   */
  run(context: Context, args: Arguments<O>): Promise<number | undefined>
}

/** Lets TypeScript infer the options' types. */
export const defineCommand = <const O extends Options>(command: Command<O>): Command<O> => command

/** The switch that every command which shows something has. */
export const jsonFlag = { kind: 'flag', describe: 'one JSON document on standard output' } as const

/** An option's name on the command line, without its dashes: `maxTurns` is `max-turns`. */
export const dashed = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
