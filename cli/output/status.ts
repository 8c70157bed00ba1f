import type { ServerStatus } from '#core/server/server.ts'
import { safeLine } from './safe.ts'
import type { Style } from './style.ts'

export function statusText(status: ServerStatus, style: Style): string {
  const rows: [string, string][] = [
    ['server', `${style.green('running')}, pid ${status.pid}, version ${safeLine(status.version)}`],
    ['since', status.startedAt],
    ['home', safeLine(status.home)],
    ['socket', safeLine(status.socket)],
    ['database', `${status.database.kind}, PostgreSQL ${safeLine(status.database.version)}`],
    [
      'model',
      safeLine(status.model.id) +
        (status.model.scripted ? ' (scripted demonstration, not a real model)' : ''),
    ],
    ['runs', `${status.runs.active} active, ${status.runs.total} in all`],
    ['sandboxes', `${status.sandboxes.live} alive`],
  ]
  return `${rows.map(([name, value]) => `${style.bold(name.padEnd(9))} ${value}`).join('\n')}\n`
}
