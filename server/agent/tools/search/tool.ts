import { z } from 'zod'
import { ForgeError } from '#core/errors.ts'
import { fileText, oneLine, thousands } from '../output.ts'
import { shown } from '../path.ts'
import { type Failures, runScript } from '../script.ts'
import { defineTool, PathInput } from '../tool.ts'
import prompt from './prompt.liquid'

const maxLines = 200
const maxColumns = 400
const maxBytes = 400_000

const input = z.strictObject({
  pattern: z
    .string()
    .min(1, 'is empty')
    .max(10_000)
    .refine((pattern) => !/[\0\n]/.test(pattern), 'holds a line end or a NUL'),
  path: PathInput.optional().describe('a file or folder; the work tree when absent'),
  glob: z
    .string()
    .min(1)
    .max(1000)
    .refine((glob) => !glob.includes('\0'), 'contains a NUL')
    .optional()
    .describe('picks files by name, for example *.ts'),
})

/**
 * $1 the work tree, $2 the file or folder, $3 the pattern, $4 the glob or nothing, $5 the same for grep, from
 * $6 on pathspecs for git or nothing. The first line names the program. Where ripgrep is missing `git grep`
 * leaves out the same files in a repository.
 */
const script = `
set -o pipefail
cd -- "$1" && [ -e "$2" ] || exit 44
place=$2 pattern=$3 glob=$4 grep_glob=$5
shift 5
bounded() { head -c ${maxBytes}; }
if command -v rg >/dev/null; then
  echo rg
  rg --no-config --hidden --glob '!.git' \${glob:+--glob} \${glob:+"$glob"} --line-number --with-filename --no-heading --color never --max-columns ${maxColumns} --max-columns-preview --sort path -e "$pattern" -- "$place" | bounded
elif [ $# -gt 0 ] && git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  echo git grep
  git --no-pager grep --untracked --no-color -nIE -e "$pattern" -- "$@" | bounded
else
  echo grep
  grep -rnHIE --exclude-dir=.git \${grep_glob:+"$grep_glob"} -e "$pattern" -- "$place" | bounded
fi
`

const failures: Failures = { 44: ['not_found', 'there is no such file or folder'] }

function grepGlob(glob: string): string {
  if (glob === '') return ''
  return glob.startsWith('!') ? `--exclude=${glob.slice(1)}` : `--include=${glob}`
}

function gitPathspecs(place: string, glob: string): string[] {
  if (place.startsWith('/')) return []
  const below = place === '.' ? '**' : `${place}/**`
  if (glob === '') return [place]
  return glob.startsWith('!')
    ? [place, `:(exclude,glob)${below}/${glob.slice(1)}`]
    : [`:(glob)${below}/${glob}`]
}

export const searchTool = defineTool({
  name: 'search',
  prompt,
  facts: { max_lines: maxLines },
  input,
  readOnly: true,
  async run({ pattern, path = '.', glob = '' }, context) {
    const place = shown(context.workdir, path)
    const args = [context.workdir, place, pattern, glob, grepGlob(glob), ...gitPathspecs(place, glob)]
    const result = await runScript(context, { text: script, args, failures, about: path })
    const [program = '', ...found] = fileText(result.stdout).replace(/\n$/, '').split('\n')
    const fallback =
      program === 'rg'
        ? []
        : [
            `[ripgrep is not there: searched with ${program}, whose patterns are POSIX extended regular expressions]`,
          ]
    const lines = found.slice(0, maxLines).map((line) => line.replace(/^\.\//, '').slice(0, 4 * maxColumns))
    // 141: the bound was reached and the program got SIGPIPE.
    if (lines.length === 0 && result.code !== 0 && result.code !== 1 && result.code !== 141) {
      const said = oneLine(result.stderr.toString('utf8'), 1000)
      throw new ForgeError('invalid_input', `${program} refused the search: ${said}`)
    }
    const counted = `${result.stdout.length >= maxBytes ? 'more than ' : ''}${thousands(found.length)}`
    const more =
      found.length > maxLines
        ? [`[the first ${maxLines} of ${counted} lines; search more narrowly to see others]`]
        : []
    const matches = found.length === 0 ? 'nothing' : `${counted} ${found.length === 1 ? 'line' : 'lines'}`
    return {
      title: `${oneLine(pattern, 100)}${place === '.' ? '' : ` in ${place}`} (${matches})`,
      content: [...(lines.length === 0 ? ['Nothing matches.'] : lines), ...more, ...fallback].join('\n'),
      isError: false,
    }
  },
})
