import { buffer } from 'node:stream/consumers'
import { downloadBlob } from '../../client/blobs.ts'
import { call } from '../../client/call.ts'
import { showPaged } from '../../output/pager.ts'
import { diffStatText, paintPatch } from '../../output/patch.ts'
import { defineCommand } from '../../program/command.ts'
import { runPositional } from '../runs/ref.ts'

export const command = defineCommand({
  describe:
    'Shows the work of a run as a unified diff: on a terminal in colour and through $PAGER (default: less), elsewhere just as git apply takes it.',
  positionals: [runPositional],
  options: {
    stat: { kind: 'flag', describe: 'only which files changed, and by how much' },
    json: { kind: 'flag', describe: 'files, statistics and commits as one JSON document, without the text' },
  },
  conflicts: [['stat', 'json']],
  examples: [
    ['forge diff', 'the work of the last run'],
    ['forge diff run_7k --stat', ''],
    ['forge diff run_7k > work.patch', 'exactly the patch'],
  ],
  async run(context, { options, positionals }) {
    const http = await context.server()
    const { id } = await call(http, 'runs.get', { ref: positionals[0] ?? 'last' })
    const diff = await call(http, 'runs.diff', { id })
    if (options.json) {
      await context.printJson(diff)
      return 0
    }
    const { style, host } = context
    const stat = diffStatText(diff, { style, width: host.size().columns })
    if (options.stat || diff.patch === null) {
      await context.print(stat)
      return 0
    }
    const patch = await buffer(await downloadBlob(http, diff.patch))
    if (host.tty.stdout) await showPaged(context, `${stat}\n${paintPatch(patch.toString('utf8'), style)}`)
    else await host.stdout.write(patch)
    return 0
  },
})
