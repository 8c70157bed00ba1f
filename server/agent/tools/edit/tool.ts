import { z } from 'zod'
import { byteSize } from '../output.ts'
import { absolute, shown } from '../path.ts'
import { defineTool, PathInput, toolError } from '../tool.ts'
import prompt from './prompt.liquid'
import { replaceIn } from './replace.ts'

const maxBytes = 8_000_000
const maxChars = 1_000_000

/** Lines shown around the change. */
const around = 3
const maxShown = 60
const maxShownLine = 300

const input = z.strictObject({
  path: PathInput.describe('relative to the work tree, or absolute'),
  old: z
    .string()
    .min(1, 'is empty: to make a file use write')
    .max(maxChars)
    .describe('what stands there now'),
  new: z.string().max(maxChars).describe('what shall stand there'),
  all: z.boolean().optional().describe('replace every occurrence'),
})

export const editTool = defineTool({
  name: 'edit',
  prompt,
  facts: { max_size: byteSize(maxBytes) },
  input,
  readOnly: false,
  async run({ path, old, new: fresh, all = false }, { wire, workdir }) {
    const name = shown(workdir, path)
    if (old === fresh)
      return toolError(`${name}: nothing to do`, 'Nothing was changed: old and new are the same.')
    const file = absolute(workdir, path)
    const before = await wire.files.read(file, maxBytes)
    const replaced = replaceIn(before, { old, new: fresh, all, maxBytes })
    if (!replaced.done) return toolError(`${name}: no change`, `${name} was not changed: ${replaced.why}.`)
    await wire.files.write(file, replaced.content)
    const times = replaced.count === 1 ? `line ${replaced.line}` : `${replaced.count} places`
    return {
      title: `${name} (${times})`,
      content: `Changed ${name} in ${replaced.count} ${replaced.count === 1 ? 'place' : 'places'}; the first now reads:\n${excerpt(replaced.content, replaced.line, fresh)}`,
      isError: false,
    }
  },
})

/** The changed lines with some around them, numbered as read does it. */
function excerpt(content: Buffer, line: number, fresh: string): string {
  const lines = content.toString('utf8').split(/\r?\n/)
  const first = Math.max(1, line - around)
  const last = Math.min(lines.length, line + fresh.split('\n').length - 1 + around, first + maxShown)
  return lines
    .slice(first - 1, last)
    .map(
      (text, index) =>
        `${first + index}\t${text.slice(0, maxShownLine).replaceAll('\0', '\u2400').toWellFormed()}`,
    )
    .join('\n')
}
