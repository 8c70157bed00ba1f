import { z } from 'zod'
import { byteSize, thousands } from '../output.ts'
import { absolute, shown } from '../path.ts'
import { type Failures, runScript } from '../script.ts'
import { defineTool, PathInput } from '../tool.ts'
import prompt from './prompt.liquid'

const maxEntries = 500

const input = z.strictObject({
  path: PathInput.describe('a folder, relative to the work tree, or absolute'),
})

/** $1 is the folder. The number of entries, then `name/type/size/target` of the first ones, NUL behind each: no name holds a slash. */
const script = `
exec 2>/dev/null
[ -e "$1" ] || exit 44
[ -d "$1" ] || exit 45
[ -r "$1" ] && [ -x "$1" ] || exit 47
export LC_ALL=C
mapfile -t -d '' found < <(find -H "$1" -mindepth 1 -maxdepth 1 -printf '%f/%y/%s/%l\\0' | sort -z)
echo \${#found[@]}
[ \${#found[@]} = 0 ] || printf '%s\\0' "\${found[@]:0:${maxEntries}}"
`

const failures: Failures = {
  44: ['not_found', 'there is no such folder'],
  45: ['conflict', 'it is not a folder: use read'],
  47: ['denied', 'it may not be read'],
}

/** Names are the repository's: those with control characters are quoted, so that none can pass for two. */
const plainName = (name: string): string => (/\p{Cc}/u.test(name) ? JSON.stringify(name) : name)

function row(record: string): string {
  const [name = '', type = '', size = '', ...target] = record.split('/')
  if (type === 'd') return `${plainName(name)}/`
  if (type === 'l') return `${plainName(name)} -> ${plainName(target.join('/'))}`
  if (type === 'f') return `${plainName(name)}  ${byteSize(Number(size))}`
  return `${plainName(name)}  (special file)`
}

export const listTool = defineTool({
  name: 'list',
  prompt,
  facts: { max_entries: maxEntries },
  input,
  readOnly: true,
  async run({ path }, context) {
    const folder = absolute(context.workdir, path)
    const result = await runScript(context, { text: script, args: [folder], failures, about: path })
    const text = result.stdout.toString('utf8')
    const end = text.indexOf('\n')
    const total = Number(text.slice(0, end))
    const rows = text
      .slice(end + 1)
      .split('\0')
      .slice(0, -1)
      .map(row)
    const more = total > rows.length ? [`[${thousands(total - rows.length)} more are left out]`] : []
    return {
      title: `${shown(context.workdir, path)} (${thousands(total)} ${total === 1 ? 'entry' : 'entries'})`,
      content: total === 0 ? 'The folder is empty.' : [...rows, ...more].join('\n'),
      isError: false,
    }
  },
})
