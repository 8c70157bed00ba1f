import { expect, test } from 'vitest'
import type { FileChange, RunDiff } from '#core/workspace/workspace.ts'
import { diffStatText, paintPatch } from './patch.ts'
import { makeStyle } from './style.ts'

const patch = `diff --git a/x b/x
index 1..2 100644
--- a/x
+++ b/x
@@ -1,3 +1,2 @@ head
 same
--- a deleted line that looks like a header
-old
+new
\\ No newline at end of file
diff --git a/y b/y
`

test('a patch is coloured by where its lines stand, and is otherwise the same', () => {
  expect(paintPatch(patch, makeStyle(false))).toBe(patch)
  const esc = String.fromCharCode(27)
  const lines = paintPatch(patch, makeStyle(true)).split('\n')
  expect(lines[2]).toBe(`${esc}[1m--- a/x${esc}[22m`)
  expect(lines[4]).toBe(`${esc}[36m@@ -1,3 +1,2 @@ head${esc}[39m`)
  expect(lines[6]).toBe(`${esc}[31m--- a deleted line that looks like a header${esc}[39m`)
  expect(lines[8]).toBe(`${esc}[32m+new${esc}[39m`)
  expect(lines[10]).toBe(`${esc}[1mdiff --git a/y b/y${esc}[22m`)
})

test('hostile content in a patch reaches no terminal', () => {
  const hostile = '@@ -1 +1 @@\n+\u001b]0;x\u0007\u001b[2J\u202eevil\r\n'
  expect(paintPatch(hostile, makeStyle(false))).toBe('@@ -1 +1 @@\n+evil \n')
})

test('statistics name every kind of change', () => {
  const file = (more: Partial<FileChange>): FileChange => ({
    path: 'src/a.ts',
    status: 'modified',
    oldMode: '100644',
    newMode: '100644',
    insertions: 2,
    deletions: 1,
    binary: false,
    ...more,
  })
  const files = [
    file({}),
    file({ status: 'added', path: 'new\u001b[31m.png', binary: true, insertions: null, deletions: null }),
    file({ status: 'renamed', from: 'old.ts', path: 'new.ts' }),
    file({ newMode: '100755' }),
  ]
  const stat = { files: 4, insertions: 6, deletions: 3 }
  expect(
    diffStatText({ files, stat } as RunDiff, { style: makeStyle(false), width: 80 }),
  ).toBe(` M src/a.ts  +2 -1
 A new.png  binary
 R old.ts -> new.ts  +2 -1
 M src/a.ts (mode 100644 -> 100755)  +2 -1
4 files changed, +6 -3
`)
})
