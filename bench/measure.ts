import { spawn } from 'node:child_process'

export interface Sample {
  readonly median: number
  readonly p95: number
  readonly n: number
}

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN

export function sampleOf(values: readonly number[]): Sample {
  const sorted = [...values].sort((one, other) => one - other)
  return { median: quantile(sorted, 0.5), p95: quantile(sorted, 0.95), n: sorted.length }
}

/** Runs once and gives its measured value: it leaves out what is set-up or clearing up. */
export type Task = () => Promise<number>

/**
 * Takes turns, with the order reversed every other time, so that whatever else happens on the machine hits
 * all alike.
 */
export async function inTurns<K extends string>(
  tasks: Readonly<Record<K, Task>>,
  { times, warmUp = 1 }: { times: number; warmUp?: number },
): Promise<Record<K, Sample>> {
  const names = Object.keys(tasks) as K[]
  const values = new Map(names.map((name) => [name, [] as number[]]))
  for (let turn = -warmUp; turn < times; turn++)
    for (const name of turn % 2 === 0 ? names : names.toReversed()) {
      const value = await tasks[name]()
      if (turn >= 0) values.get(name)?.push(value)
    }
  return Object.fromEntries(names.map((name) => [name, sampleOf(values.get(name) ?? [])])) as Record<
    K,
    Sample
  >
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

export interface CommandOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

/** Runs a program to the end of its output; throws when it does not end with 0. Gives its standard output. */
export function command(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let complaint = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve(out)
      else reject(new Error(`${program} ${args.join(' ')} ended with ${code ?? signal}: ${complaint || out}`))
    })
  })
}
