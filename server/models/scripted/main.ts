import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { Script } from './script.ts'
import { startScriptedModel } from './server.ts'

/** `main.ts SCRIPT.json [--port N] [--model NAME]…`: prints `{"url":…}` and serves until it is stopped. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { port: { type: 'string', default: '0' }, model: { type: 'string', multiple: true } },
})
const [path] = positionals
if (path === undefined) {
  process.stderr.write('usage: main.ts SCRIPT.json [--port N] [--model NAME]…\n')
  process.exit(2)
}
const script = Script.parse(JSON.parse(await readFile(path, 'utf8')))
const model = await startScriptedModel(script, {
  port: Number(values.port),
  ...(values.model === undefined ? {} : { models: values.model }),
})
process.stdout.write(`${JSON.stringify({ url: model.url })}\n`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void model.close())
