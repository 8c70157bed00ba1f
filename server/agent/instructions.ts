import { ForgeError } from '#core/errors.ts'
import type { Wire } from '../sandbox/wire/wire.ts'
import { cleanOutput } from './tools/output.ts'

export interface Instructions {
  /** What the system prompt has in full. */
  readonly files: readonly {
    readonly path: string
    readonly text: string
    /** There is more than was read. */
    readonly truncated: boolean
  }[]
  /** Paths in the work tree of those that only hold for a folder. */
  readonly nested: readonly string[]
}

const maxBytes = 32 * 1024
const maxNested = 50

/** NUL after each part: the name of the root's file, the file, then the paths of the nested ones. */
const script = `
for name in AGENTS.md CLAUDE.md; do
  if [ -f "$name" ] && [ -r "$name" ]; then
    printf '%s\\0' "$name"
    head -c ${maxBytes + 1} "$name" | tr -d '\\0'
    break
  fi
done
printf '\\0'
find . -maxdepth 5 \\( -name .git -o -name node_modules \\) -prune -o -name AGENTS.md -type f ! -path ./AGENTS.md -print0 2>/dev/null | head -z -n ${maxNested}
`

/** `AGENTS.md`, or else `CLAUDE.md`, at the root of the work tree. Throws `sandbox_lost`, `interrupted`. */
export async function readInstructions(
  wire: Wire,
  workdir: string,
  signal?: AbortSignal,
): Promise<Instructions> {
  const result = await wire.run({
    command: script,
    cwd: workdir,
    timeout: 20_000,
    ...(signal === undefined ? {} : { signal }),
  })
  if (result.aborted) throw new ForgeError('interrupted', 'interrupted while reading the instructions')
  const parts = result.stdout.toString('utf8').split('\0')
  const named = parts[0] === 'AGENTS.md' || parts[0] === 'CLAUDE.md'
  const nested = parts.slice(named ? 2 : 1, -1).map((path) => cleanOutput(path).replace(/^\.\//, ''))
  const [path = '', text = ''] = named ? parts : []
  if (text.trim() === '') return { files: [], nested }
  const truncated = Buffer.byteLength(text) > maxBytes
  return { files: [{ path, text: cleanOutput(text.slice(0, maxBytes)).trim(), truncated }], nested }
}
