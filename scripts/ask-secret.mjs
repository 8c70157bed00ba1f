/** Asks for a line on the terminal without showing what is typed. Plain JavaScript, like the scripts that set up. */
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'

/** The line without white space around it; '' for Ctrl-D; null for Ctrl-C. The terminal is as before in each case. */
export function askSecret(question, { input, output }) {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input, output: nowhere, terminal: true, historySize: 0 })
  output.write(question)
  return new Promise((resolve) => {
    const end = (answer) => {
      lines.removeAllListeners('close')
      lines.close()
      output.write('\n')
      resolve(answer)
    }
    lines.on('line', (line) => end(line.trim()))
    lines.on('SIGINT', () => end(null))
    lines.on('close', () => end(''))
  })
}
