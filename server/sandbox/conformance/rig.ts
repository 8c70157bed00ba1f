import type { TestContext } from 'vitest'
import type { Wire } from '../wire/wire.ts'

/** A wire that a set of tests shares, and what it needs to know of the place at its other end. */
export interface WireRig {
  wire(): Wire
  /** A folder of the guest's user. */
  home(): string
  /** A folder on a file system with less than 100 MB, or why there is none. */
  smallDisk(): { readonly path: string } | { readonly none: string }
  /** Why there are no terminals; null where there are. */
  noTerminals(): string | null
}

/** Skips a test by a reason that the run shows; reporters keep it to themselves. */
export function skipBecause(reason: string, skip: TestContext['skip']): never {
  console.log(`skipped: ${reason}`)
  return skip(reason)
}

export async function text(
  rig: Pick<WireRig, 'wire'>,
  command: string,
  more: Omit<Parameters<Wire['run']>[0], 'command'> = {},
): Promise<string> {
  return (await rig.wire().run({ command, ...more })).stdout.toString()
}

/**
 * A command that nothing else on the machine runs: without a sandbox around it, the guest sees the processes of
 * other test files.
 */
export const nap = (seconds: number): string => `sleep ${seconds}.${process.pid}`

/** Bash, without any other program: what a guest's image must have is little. */
const eachProcess = (commandLine: string, act: string) => `for d in /proc/[0-9]*; do
  a=()
  mapfile -d '' -t a 2>/dev/null <"$d/cmdline"
  [[ "\${a[*]}" == ${commandLine} ]] && ${act}
done`

/** How many processes have this command line. */
export async function countRunning(rig: Pick<WireRig, 'wire'>, commandLine: string): Promise<number> {
  return Number(await text(rig, `n=0; ${eachProcess(`'${commandLine}'`, 'n=$((n+1))')}; echo $n`))
}

export async function killRunning(rig: Pick<WireRig, 'wire'>, commandLine: string): Promise<void> {
  await text(rig, eachProcess(`'${commandLine}'`, `kill -9 "\${d#/proc/}"`))
}
