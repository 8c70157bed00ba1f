import { readFile } from 'node:fs/promises'

/** Whether a process of this user still runs. One that has ended and waits for its parent does not: not every process 1 looks after them. */
export async function isAlive(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The state comes after the name, which is in parentheses and may hold some itself.
  const state = text.slice(text.lastIndexOf(')') + 2, text.lastIndexOf(')') + 3)
  return state !== '' && !'ZX'.includes(state)
}
