/** `main.ts [--json] [NAME…]`: measures and prints; bounds are shown as met or missed and change no exit code. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { Benchmark, Findings } from './benchmark.ts'
import { documentOf, machine, tableOf } from './report.ts'

/** In the order of the page; each is the file of its name. */
const names = ['start', 'server-start', 'sandbox', 'wire', 'ledger', 'follow', 'run']
const root = path.dirname(import.meta.dirname)

async function load(name: string): Promise<Benchmark> {
  const module = (await import(`./${name}.ts`)) as { benchmark: Benchmark }
  return module.benchmark
}

async function measure(benchmark: Benchmark): Promise<Findings> {
  // Not below the checkout, whose parents may be closed to the database's and the sandboxes' users.
  const scratch = await mkdtemp('/var/tmp/forge-bench-')
  await chmod(scratch, 0o755)
  try {
    return await benchmark.run({ root, scratch })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false } },
  })
  const unknown = positionals.filter((name) => !names.includes(name))
  if (unknown.length > 0) {
    console.error(`there is no benchmark ${unknown.join(', ')}; there are: ${names.join(', ')}`)
    return 2
  }
  const chosen = names.filter((name) => positionals.length === 0 || positionals.includes(name))
  const all: { benchmark: Benchmark; findings: Findings }[] = []
  let broken = 0
  if (!values.json) console.log(machine().text)
  for (const name of chosen) {
    try {
      const benchmark = await load(name)
      const findings = await measure(benchmark)
      all.push({ benchmark, findings })
      if (!values.json) console.log(tableOf(benchmark, findings))
    } catch (error) {
      broken += 1
      console.error(`${name} broke: ${error instanceof Error ? error.stack : String(error)}`)
    }
  }
  if (values.json) console.log(JSON.stringify(documentOf(all), undefined, 2))
  return broken === 0 ? 0 : 1
}

process.exitCode = await main()
