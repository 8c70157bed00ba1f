import { quoteOne } from '#core/sandbox/quote.ts'
import type { Wire } from '../../../sandbox/wire/wire.ts'
import { cleanOutput, joinEnds, shortened, shownHead, shownTail } from '../output.ts'

/** Of one command's output so much is kept in the sandbox. */
export const keptBytes = 64 * 1024 * 1024

/** Of each end of a long output so much crosses the wire; cleaned, it still has to fill what the model is shown. */
const crossing = 60_000

/** Up to here an output is shown whole, and no file is left behind. */
const shownBytes = shownHead + shownTail

interface CommandRequest {
  readonly command: string
  readonly cwd: string
  readonly signal: AbortSignal
  /** Milliseconds. */
  readonly timeout: number
  /** The file in the sandbox for the whole output. */
  readonly keep: string
}

export interface CommandReport {
  /** Null when it was ended by its time limit. */
  readonly exitCode: number | null
  readonly timedOut: boolean
  readonly aborted: boolean
  /** Something that the command started still holds its output. */
  readonly background: boolean
  /** Stdout and stderr as they came, clean, the middle left out where it is long. */
  readonly text: string
  readonly bytes: number
  readonly lines: number
  /** `bytes` and `lines` reached the bound of what is kept, so there was more. */
  readonly beyond: boolean
  /** Some of the output could not be kept, for want of space. */
  readonly lost: boolean
  /** The file with the whole output; null when `text` is all of it, and then the file is gone. */
  readonly kept: string | null
}

/**
 * The collector outlives SIGTERM, so that a command's last words are kept; its file cannot grow beyond the
 * bound (`ulimit -f` counts KiB, and `tee` goes on to its other output when the file is full), while
 * `tail` holds the true end. A background process that keeps the output open is waited for half a second.
 * It tells when the file could not take everything. The shell's own stderr is closed, because the exit of the channel waits for whoever holds it.
 */
const runScript = `
[ -d "\${out%/*}" ] || mkdir -p "\${out%/*}"
IFS= read -r -d '' forge_command
coproc KEEP { trap '' TERM INT HUP XFSZ; ulimit -f ${keptBytes / 1024}; tee "$out" | tail -c ${crossing} >"$out.tail"; echo "\${PIPESTATUS[0]}"; }
to=\${KEEP[1]} from=\${KEEP[0]}
bash -c "$forge_command" </dev/null >&"$to" 2>&1
code=$?
exec {to}>&-
IFS= read -r -t 0.5 -u "$from" unstored
[ $? -gt 128 ] && background=1
`

/**
 * A line of numbers, then the whole output, or `crossing` bytes of its beginning and as many of its end. Short
 * outputs take builtins only, as every program that is started costs a millisecond; `read -N` drops NULs,
 * which the model would not be shown anyway.
 */
const reportScript = `
LC_ALL=C
if IFS= read -r -N ${shownBytes + 1} text <"$out"; then
  read -r lines bytes < <(wc -lc <"$out")
  echo "forge-output \${code:--} $background \${unstored:-0} $lines $bytes"
  if [ "$bytes" -le ${2 * crossing} ]; then cat "$out"; else
    head -c ${crossing} "$out"
    if [ "$bytes" -lt ${keptBytes} ]; then tail -c ${crossing} "$out"; else cat "$out.tail"; fi
  fi
  [ $background = 1 ] || rm -f "$out.tail"
else
  printf 'forge-output %s %s %s 0 %s\\n%s' "\${code:--}" $background "\${unstored:-0}" \${#text} "$text"
  [ $background = 1 ] || rm -f "$out" "$out.tail" </dev/null >/dev/null &
fi
`

/** Throws `sandbox_lost`. A command that was aborted or timed out is reported like any other. */
export async function runCommand(wire: Wire, request: CommandRequest): Promise<CommandReport> {
  const setup = `exec 2>/dev/null; out=${quoteOne(request.keep)} background=0\n`
  const ran = await wire.run({
    command: setup + runScript + reportScript,
    cwd: request.cwd,
    input: `${request.command}\0`,
    timeout: request.timeout,
    signal: request.signal,
  })
  const cutOff = ran.timedOut || (ran.code === null && !ran.aborted)
  const reported = cutOff
    ? await wire.run({ command: setup + reportScript, cwd: '/', timeout: 10_000, signal: request.signal })
    : ran
  return { ...parse(reported.stdout, request.keep), timedOut: ran.timedOut, aborted: ran.aborted }
}

const nothing = { bytes: 0, lines: 0, beyond: false, lost: false, kept: null }
const header = /^forge-output (-|\d+) ([01]) (\d+) (\d+) (\d+)\n/

function parse(stdout: Buffer, keep: string): Omit<CommandReport, 'timedOut' | 'aborted'> {
  const found = header.exec(stdout.subarray(0, 200).toString('latin1'))
  if (found === null) return { exitCode: null, background: false, text: '', ...nothing }
  const [line, code, background, unstored, lines, size] = found
  const body = stdout.subarray(line.length)
  const bytes = Number(size)
  const text =
    bytes <= 2 * crossing
      ? shortened(cleanOutput(body))
      : joinEnds(cleanOutput(body.subarray(0, crossing)), cleanOutput(body.subarray(crossing)))
  return {
    exitCode: code === '-' ? null : Number(code),
    background: background === '1',
    text,
    bytes,
    lines: Number(lines),
    beyond: bytes >= keptBytes,
    lost: unstored !== '0' && bytes < keptBytes,
    kept: bytes > shownBytes || background === '1' ? keep : null,
  }
}
