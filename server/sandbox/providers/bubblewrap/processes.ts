import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { ForgeError } from '#core/errors.ts'
import { runCommand } from '../../host-tools/run.ts'

/** A pid alone is reused; with its start time (clock ticks since boot, proc_pid_stat(5) field 22) it is not. */
export interface ProcessMark {
  readonly pid: number
  readonly start: string
}

interface ProcessStat extends ProcessMark {
  readonly state: string
}

export async function processStat(pid: number): Promise<ProcessStat | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  if (text === null) return null
  // The name, in parentheses, may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { pid, state: fields[0] ?? '', start: fields[19] ?? '' }
}

export async function isAlive(mark: ProcessMark): Promise<boolean> {
  const stat = await processStat(mark.pid)
  return stat !== null && stat.start === mark.start && !['Z', 'X'].includes(stat.state)
}

const patienceMs = 10_000

/** A fork bomb cannot outrun it: signalling -1 as that uid takes all of its processes in one step of the kernel. */
const killUidScript = String.raw`
my $uid = shift;
$) = "$uid $uid"; $( = $uid; ($<, $>) = ($uid, $uid);
die "still root\n" if $< != $uid or $> != $uid;
kill 'KILL', -1;
`

const hostPids = async (): Promise<number[]> =>
  (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)

/** Not by the owner of /proc/PID, which is root for a process that is not dumpable. */
async function ofUid(uid: number): Promise<number[]> {
  const found = await Promise.all(
    (await hostPids()).map(async (pid) => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
      const lives = !/^State:\s+[ZX]/m.test(status)
      return lives && new RegExp(`^Uid:.*\\b${uid}\\b`, 'm').test(status) ? [pid] : []
    }),
  )
  return found.flat()
}

/** Resolves when the uid has no process. For root only. */
export async function killUid(perl: string, uid: number): Promise<void> {
  for (const deadline = Date.now() + patienceMs; ; await sleep(2)) {
    const pids = await ofUid(uid)
    if (pids.length === 0) return
    if (Date.now() > deadline)
      throw new ForgeError('internal', `processes ${pids.join(', ')} of uid ${uid} do not end`)
    const result = await runCommand(perl, ['-e', killUidScript, String(uid)])
    if (result.code !== 0)
      throw new ForgeError('internal', `cannot act as uid ${uid}: ${result.stderr.trim()}`)
  }
}

async function withArgument(argument: string): Promise<number[]> {
  const found = await Promise.all(
    (await hostPids()).map(async (pid) => {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      return line.split('\0').includes(argument) ? [pid] : []
    }),
  )
  return found.flat()
}

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone already, or not ours: then it is not of this sandbox.
  }
}

const anyAlive = async (marks: Iterable<ProcessMark>): Promise<boolean> =>
  (await Promise.all([...marks].map(isAlive))).includes(true)

/** Before all processes of the host are looked through again, which takes longer than ending does. */
async function whenEnded(marks: Iterable<ProcessMark>): Promise<void> {
  for (let looked = 0; looked < 100 && (await anyAlive(marks)); looked++) await sleep(1)
}

/**
 * Ends every process that has `mark` among its arguments: the sandbox's bwrap and its process 1, with which
 * the kernel ends all others in the sandbox.
 */
export async function killMarked(mark: string): Promise<void> {
  // One that is dying has no arguments any more, and process 1 dies only after all others.
  const seen = new Map<number, ProcessMark>()
  for (const deadline = Date.now() + patienceMs; ; await whenEnded([...seen.values()])) {
    const pids = (await withArgument(mark)).filter((pid) => pid !== process.pid)
    for (const pid of pids) {
      const stat = seen.has(pid) ? null : await processStat(pid)
      if (stat !== null) seen.set(pid, stat)
      kill(pid)
    }
    if (pids.length === 0 && !(await anyAlive(seen.values()))) return
    if (Date.now() > deadline)
      throw new ForgeError('internal', `processes ${[...seen.keys()].join(', ')} do not end`)
  }
}
