import path from 'node:path'
import { ForgeError } from '#core/errors.ts'
import { call } from '../../client/call.ts'
import { formatBytes } from '../../output/format.ts'
import { safeLine } from '../../output/safe.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'
import { download, upload } from './transfer.ts'

interface End {
  /** Null for this machine. */
  readonly sandbox: string | null
  readonly path: string
}

/** `NAME:PATH` is in a sandbox; a path with a slash before its first colon, or none at all, is here. */
function parseEnd(text: string): End {
  const match = /^([A-Za-z0-9_-]+):(.*)$/s.exec(text)
  return match ? { sandbox: match[1] ?? '', path: match[2] ?? '' } : { sandbox: null, path: text }
}

export const command = defineCommand({
  describe:
    'Copies a file or a folder into or out of a sandbox, as a stream. Where the target is a folder that exists, the copy goes into it; else the target is the copy’s new name. Modes are kept; devices and links that point out of the copy are left out.',
  positionals: [
    { name: 'SOURCE', describe: 'a path here, or SANDBOX:PATH', required: true },
    { name: 'TARGET', describe: 'the other one of the two', required: true },
  ],
  options: { json: jsonFlag },
  examples: [
    ['forge sandbox cp ./data scratch:/tmp/', 'into a sandbox'],
    ['forge sandbox cp scratch:/home/dev/report.html .', 'out of one'],
  ],
  async run(context, { options, positionals }) {
    const [source, target] = [parseEnd(positionals[0] ?? ''), parseEnd(positionals[1] ?? '')]
    if ((source.sandbox === null) === (target.sandbox === null))
      throw new ForgeError('usage', 'exactly one of SOURCE and TARGET must be in a sandbox', {
        hint: 'usage: forge sandbox cp PATH SANDBOX:PATH, or the other way round',
      })
    const http = await context.server()
    const ref = source.sandbox ?? target.sandbox ?? ''
    const { id } = await call(http, 'sandboxes.get', { ref })
    const here = (end: End) => path.resolve(context.host.cwd, end.path)
    const result =
      source.sandbox === null
        ? await upload({ socket: http.socket, sandbox: id, source: here(source), target: target.path })
        : await download({ socket: http.socket, sandbox: id, source: source.path, target: here(target) })
    for (const skipped of result.skipped)
      context.note(context.errStyle.yellow(`left out: ${safeLine(skipped)}`))
    const { files, bytes, skipped } = result
    if (options.json) await context.printJson({ sandbox: id, files, bytes, skipped })
    else await context.print(`${files} ${files === 1 ? 'file' : 'files'}, ${formatBytes(bytes)}\n`)
    return 0
  },
})
