import stringWidth from 'string-width'
import type { FileChange, RunDiff } from '#core/workspace/workspace.ts'
import { formatDiff } from './format.ts'
import { safe, safeLine } from './safe.ts'
import type { Style } from './style.ts'
import { shorten } from './table.ts'

/** A unified diff for a terminal: made safe line by line, then coloured as git does. */
export function paintPatch(patch: string, style: Style): string {
  /** Lines of the present hunk that are still to come; a "-- x" in one is a deletion, not a header. */
  let old = 0
  let fresh = 0
  return patch
    .split('\n')
    .map((raw) => {
      const line = safe(raw).replaceAll('\n', ' ')
      if (old > 0 || fresh > 0) {
        if (line.startsWith('\\')) return style.dim(line)
        if (!line.startsWith('+')) old--
        if (!line.startsWith('-')) fresh--
        return line.startsWith('+') ? style.green(line) : line.startsWith('-') ? style.red(line) : line
      }
      const hunk = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(line)
      if (!hunk) return line.startsWith('\\') ? style.dim(line) : style.bold(line)
      old = Number(hunk[1] ?? 1)
      fresh = Number(hunk[2] ?? 1)
      return style.cyan(line)
    })
    .join('\n')
}

const marks: Record<FileChange['status'], string> = {
  added: 'A',
  modified: 'M',
  deleted: 'D',
  renamed: 'R',
  copied: 'C',
  type_changed: 'T',
}

function fileLine(file: FileChange, options: { style: Style; width: number }): string {
  const { style, width } = options
  const from = file.from === undefined ? '' : `${safeLine(file.from)} -> `
  const mode =
    file.status === 'modified' && file.oldMode !== file.newMode
      ? ` (mode ${file.oldMode} -> ${file.newMode})`
      : ''
  const counts = file.binary
    ? 'binary'
    : `${style.green(`+${file.insertions ?? 0}`)} ${style.red(`-${file.deletions ?? 0}`)}`
  return ` ${marks[file.status]} ${shorten(from + safeLine(file.path) + mode, Math.max(20, width - 20), stringWidth)}  ${counts}`
}

export function diffStatText(diff: RunDiff, options: { style: Style; width: number }): string {
  if (diff.files.length === 0) return 'no files changed\n'
  return `${[...diff.files.map((file) => fileLine(file, options)), formatDiff(diff.stat)].join('\n')}\n`
}
