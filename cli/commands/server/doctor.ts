import { errorTable } from '#core/errors.ts'
import { call } from '../../client/call.ts'
import { doctorText } from '../../output/doctor.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'

export const command = defineCommand({
  describe:
    'Tries each sandbox provider by booting one and running a command in it, and says what each limit rests on. Exits with 4 when none works.',
  positionals: [],
  options: { json: jsonFlag },
  examples: [
    ['forge doctor', ''],
    ['forge doctor --json', 'one entry for each provider'],
  ],
  async run(context, { options }) {
    const reports = await call(await context.server(), 'sandboxes.probe')
    if (options.json) await context.printJson(reports)
    else await context.print(doctorText(reports, context.style))
    return reports.some(({ works }) => works) ? 0 : errorTable.provider_unavailable.exit
  },
})
