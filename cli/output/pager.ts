import { spawn } from 'node:child_process'
import type { Context } from '../context.ts'

/**
 * Shows safe text through $FORGE_PAGER or $PAGER (default `less`), which the shell runs as git does; directly when
 * that is `cat` or empty, or can't be started.
 */
export async function showPaged(context: Context, text: string): Promise<void> {
  const { env } = context.host
  const pager = env.FORGE_PAGER ?? env.PAGER ?? 'less'
  if (pager === '' || pager === 'cat' || env.TERM === 'dumb') return context.print(text)
  const code = await new Promise<number | null>((resolve) => {
    const child = spawn('sh', ['-c', pager], {
      stdio: ['pipe', 'inherit', 'inherit'],
      // Quit when it fits the screen, keep colours, leave the text on the screen: what git sets.
      env: { LESS: 'FRX', LV: '-c', ...env },
    })
    const ignoreInterrupt = context.host.onSignal('SIGINT', () => {})
    child.on('error', () => resolve(127))
    child.on('close', (status) => {
      ignoreInterrupt()
      resolve(status)
    })
    // Quitting the pager early is no failure.
    child.stdin.on('error', () => {})
    child.stdin.end(text)
  })
  if (code === 127 || code === 126) await context.print(text)
}
