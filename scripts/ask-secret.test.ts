import path from 'node:path'
import { spawn } from '@lydell/node-pty'
import { expect, it } from 'vitest'

const program = `
import { askSecret } from ${JSON.stringify(path.join(import.meta.dirname, 'ask-secret.mjs'))}
const answer = await askSecret('key? ', { input: process.stdin, output: process.stderr })
console.log('got ' + JSON.stringify(answer))`

/** What the terminal shows when the keys are typed, and after it whether it echoes again. node-pty loses last words. */
function typed(keys: string): Promise<string> {
  const line = `"$0" --input-type=module -e "$1"; stty -a | grep -o '[- ]echo '; sleep 0.3`
  const pty = spawn('bash', ['--norc', '-c', line, process.execPath, program], {
    env: { PATH: process.env.PATH ?? '', TERM: 'xterm' },
  })
  let shown = ''
  let asked = false
  pty.onData((data) => {
    shown += data
    if (asked || !shown.includes('key? ')) return
    asked = true
    pty.write(keys)
  })
  return new Promise((resolve) => pty.onExit(() => resolve(shown.replaceAll('\r', ''))))
}

it.each([
  ['a key', ' sk-ant-topsecret \r', '"sk-ant-topsecret"'],
  ['only Enter', '\r', '""'],
  ['Ctrl-D', '\x04', '""'],
  ['Ctrl-C', 'sk-ant-topsecret\x03', 'null'],
])('%s is not shown, and leaves the terminal as it was', async (_name, keys, answer) => {
  expect(await typed(keys)).toBe(`key? \ngot ${answer}\n echo \n`)
})
