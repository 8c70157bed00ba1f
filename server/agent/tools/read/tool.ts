import { z } from 'zod'
import { ForgeError } from '#core/errors.ts'
import { byteSize, fileText, thousands } from '../output.ts'
import { absolute, shown } from '../path.ts'
import { type Failures, runScript } from '../script.ts'
import { defineTool, PathInput, type ToolContext, toldToModel } from '../tool.ts'
import prompt from './prompt.liquid'

const defaultLines = 2000
const maxChars = 50_000
const maxLine = 2000

const input = z.strictObject({
  path: PathInput.describe('relative to the work tree, or absolute'),
  offset: z.number().int().min(1).max(1_000_000_000).optional().describe('the first line, counted from 1'),
  limit: z.number().int().min(1).max(10_000).optional().describe('how many lines'),
})

/** Up to here a file is fetched whole, which is several times as fast as the script. */
const wholeBytes = 1_000_000
const sniffed = 8000

/**
 * $1 is the file, $2 the first line, $3 the last. One line about the file, then the lines, cut to a length
 * that the server can bear; it does the exact cutting. Only regular files are opened: others could block.
 */
const script = `
exec 2>/dev/null
[ -e "$1" ] || exit 44
[ -d "$1" ] && exit 45
[ -f "$1" ] || exit 46
[ -r "$1" ] || exit 47
read -r lines bytes < <(wc -lc <"$1")
[ "$(tail -c 1 "$1" | tr '\\n' n)" = n ] || lines=$((lines + 1))
text=$(head -c ${sniffed} "$1" | tr -d '\\0' | wc -c)
if [ "$text" -lt ${sniffed} ] && [ "$text" -lt "$bytes" ]; then echo "binary $lines $bytes"; exit; fi
echo "text $lines $bytes"
tail -n "+$2" "$1" | head -n $(($3 - $2 + 1)) | cut -b 1-${4 * maxLine + 4} | head -c ${8 * maxChars}
`

const failures: Failures = {
  44: ['not_found', 'there is no such file'],
  45: ['conflict', 'it is a folder: use list'],
  46: ['conflict', 'it is not a regular file'],
  47: ['denied', 'it may not be read'],
}

interface Part {
  readonly binary: boolean
  /** In the whole file. */
  readonly lines: number
  readonly bytes: number
  readonly body: string
}

interface Wanted {
  readonly path: string
  /** Numbers of lines. */
  readonly first: number
  readonly last: number
}

/** Null for what is large or cannot be read; the script says which. */
async function fetchWhole({ wire, workdir }: ToolContext, wanted: Wanted): Promise<Part | null> {
  const content = await wire.files
    .read(absolute(workdir, wanted.path), wholeBytes)
    .catch((thrown: unknown) => {
      if (thrown instanceof ForgeError && toldToModel.includes(thrown.code)) return null
      throw thrown
    })
  if (content === null) return null
  const lines = fileText(content).split('\n')
  if (lines.at(-1) === '') lines.pop()
  return {
    binary: content.subarray(0, sniffed).includes(0),
    lines: lines.length,
    bytes: content.length,
    body: lines
      .slice(wanted.first - 1, wanted.last)
      .map((line) => `${line}\n`)
      .join(''),
  }
}

async function fetchPart(context: ToolContext, { path, first, last }: Wanted): Promise<Part> {
  const args = [absolute(context.workdir, path), `${first}`, `${last}`]
  const result = await runScript(context, { text: script, args, failures, about: path })
  const end = result.stdout.indexOf('\n')
  const [kind, lines, bytes] = result.stdout.subarray(0, Math.max(0, end)).toString('latin1').split(' ')
  if (kind !== 'text' && kind !== 'binary') throw new ForgeError('conflict', `${path} could not be read`)
  return {
    binary: kind === 'binary',
    lines: Number(lines),
    bytes: Number(bytes),
    body: fileText(result.stdout.subarray(end + 1)),
  }
}

/** Numbered lines, as many as fit. */
function numbered(body: string, first: number): { text: string; count: number } {
  const lines = body === '' ? [] : body.replace(/\n$/, '').split('\n')
  const taken: string[] = []
  let room = maxChars
  for (const [index, line] of lines.entries()) {
    const cut =
      line.length > maxLine ? `${line.slice(0, maxLine).toWellFormed()}… [the line is longer]` : line
    const row = `${first + index}\t${cut}`
    room -= row.length + 1
    if (room < 0 && taken.length > 0) break
    taken.push(row)
  }
  return { text: taken.join('\n'), count: taken.length }
}

export const readTool = defineTool({
  name: 'read',
  prompt,
  facts: {
    default_lines: thousands(defaultLines),
    max_chars: thousands(maxChars),
    max_line: thousands(maxLine),
  },
  input,
  readOnly: true,
  async run({ path, offset = 1, limit = defaultLines }, context) {
    const wanted = { path, first: offset, last: offset + limit - 1 }
    const part = (await fetchWhole(context, wanted)) ?? (await fetchPart(context, wanted))
    const name = shown(context.workdir, path)
    const size = byteSize(part.bytes)
    if (part.binary)
      return {
        title: `${name} (binary, ${size})`,
        content: `${name} is a binary file of ${size}.`,
        isError: false,
      }
    if (part.bytes === 0) return { title: `${name} (empty)`, content: `${name} is empty.`, isError: false }
    const { text, count } = numbered(part.body, offset)
    if (count === 0)
      throw new ForgeError(
        'invalid_input',
        `${name} has ${thousands(part.lines)} lines; there is no line ${offset}`,
      )
    const last = offset + count - 1
    const more =
      last < part.lines
        ? `\n[go on with offset ${last + 1}: ${thousands(part.lines)} lines, ${size} in all]`
        : ''
    return {
      title: `${name} (${offset === 1 && more === '' ? '' : `lines ${offset} to ${last} of `}${thousands(part.lines)} lines)`,
      content: `${text}${more}`,
      isError: false,
    }
  },
})
