import { z } from 'zod'
import { ForgeError } from '#core/errors.ts'
import { byteSize, thousands } from '../output.ts'
import { absolute, shown } from '../path.ts'
import { defineTool, PathInput } from '../tool.ts'
import prompt from './prompt.liquid'

const maxChars = 4_000_000

const input = z.strictObject({
  path: PathInput.describe('relative to the work tree, or absolute'),
  content: z
    .string()
    .max(maxChars, `is longer than ${maxChars} characters: write the file in parts, with shell`)
    .describe('all that the file shall hold'),
})

export const writeTool = defineTool({
  name: 'write',
  prompt,
  facts: { max_size: byteSize(maxChars) },
  input,
  readOnly: false,
  async run({ path, content }, { wire, workdir }) {
    const file = absolute(workdir, path)
    const before = await wire.files.stat(file).catch((thrown: unknown) => {
      if (thrown instanceof ForgeError && thrown.code === 'not_found') return null
      throw thrown
    })
    if (before?.kind === 'directory') throw new ForgeError('conflict', `${path} is a folder`)
    if (before?.kind === 'other') throw new ForgeError('conflict', `${path} is not a regular file`)
    await wire.files.write(file, content)
    const lines = content === '' ? 0 : content.replace(/\n$/, '').split('\n').length
    const size = `${thousands(lines)} ${lines === 1 ? 'line' : 'lines'}, ${byteSize(Buffer.byteLength(content))}`
    const how = before === null ? 'new' : 'replaced'
    return {
      title: `${shown(workdir, path)} (${how}, ${size})`,
      content: `Wrote ${shown(workdir, path)}: ${how}, ${size}.`,
      isError: false,
    }
  },
})
