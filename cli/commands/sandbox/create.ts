import { call } from '../../client/call.ts'
import { safeLine } from '../../output/safe.ts'
import { defineCommand, jsonFlag } from '../../program/command.ts'
import { number, text, texts } from '../../program/values.ts'

export const command = defineCommand({
  describe: 'Makes an empty sandbox that stays until forge sandbox rm.',
  positionals: [],
  options: {
    name: text({ describe: 'lower-case letters, digits and dashes', placeholder: 'NAME' }),
    provider: text({ describe: 'the sandbox provider', placeholder: 'NAME' }),
    memory: number({ describe: 'MiB of memory', placeholder: 'MIB', integer: true, min: 64, max: 1_048_576 }),
    pids: number({
      describe: 'processes and threads',
      placeholder: 'N',
      integer: true,
      min: 16,
      max: 100_000,
    }),
    disk: number({ describe: 'MiB of disk', placeholder: 'MIB', integer: true, min: 16, max: 10_485_760 }),
    cpus: number({ describe: 'cores', placeholder: 'N', min: 0.01, max: 1024 }),
    allow: texts({ describe: 'let it reach HOST:PORT too', placeholder: 'HOST' }),
    json: jsonFlag,
  },
  examples: [
    ['forge sandbox create --name scratch', 'then: forge sandbox shell scratch'],
    ['forge sandbox create --memory 512 --json | jq -r .id', 'its id'],
  ],
  async run(context, { options }) {
    const { name, provider, memory, pids, disk, cpus, allow } = options
    const sandbox = await call(await context.server(), 'sandboxes.create', {
      ...(name === undefined ? {} : { name }),
      ...(provider === undefined ? {} : { provider }),
      limits: {
        ...(memory === undefined ? {} : { memoryMb: memory }),
        ...(pids === undefined ? {} : { pids }),
        ...(disk === undefined ? {} : { diskMb: disk }),
        ...(cpus === undefined ? {} : { cpus }),
      },
      allow: [...allow],
    })
    if (options.json) await context.printJson(sandbox)
    else {
      const unenforced = Object.entries(sandbox.enforcement ?? {}).filter(([, { enforced }]) => !enforced)
      await context.print(`${sandbox.id}\n`)
      for (const [limit, { how }] of unenforced)
        context.note(context.errStyle.yellow(`its ${limit} limit is not enforced: ${safeLine(how)}`))
    }
    return 0
  },
})
