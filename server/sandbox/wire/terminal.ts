import { channelDuplex } from './channel.ts'
import { type ExecContext, start } from './exec.ts'
import type { TerminalChannel, TerminalRequest } from './wire.ts'

/** `SHLVL` is set for commands so that bash does not take them for a remote login; a login shell counts from there anew. */
const loginShell = 'unset SHLVL; exec bash -l'

export async function openTerminal(context: ExecContext, request: TerminalRequest): Promise<TerminalChannel> {
  const { columns, rows } = request
  const { channel, outputs, stdin, process, hangUp } = await start(
    context,
    { ...request, command: request.command ?? loginShell },
    { cols: columns, rows, width: 0, height: 0, term: request.term ?? 'xterm-256color' },
  )
  const stream = channelDuplex(channel, outputs, stdin)
  stream.on('close', () => {
    if (!stream.readableEnded) hangUp()
  })
  return {
    stream,
    resize: (newColumns, newRows) => channel.setWindow(newRows, newColumns, 0, 0),
    exit: process.exit,
  }
}
