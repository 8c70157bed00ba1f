import { cp } from 'node:fs/promises'
import path from 'node:path'
import { eventsOf, World } from '#e2e/world/world.ts'
import type { Benchmark } from './benchmark.ts'
import { command, inTurns, sampleOf, timed } from './measure.ts'

/** What an agent does on a small task: looks around, changes something, tries it. */
const commands = [
  'ls -la',
  'cat package.json',
  'grep -rn "add" .',
  'git log --oneline',
  'node --test test.mjs || true',
  "sed -i 's/a - b/a + b/' math.mjs",
  'git diff --stat',
  'node --test test.mjs',
  'wc -l *.mjs',
  'git status --short',
]

const files = {
  'package.json': '{ "name": "sample", "type": "module", "scripts": { "test": "node --test" } }\n',
  'math.mjs': 'export const add = (a, b) => a - b\n',
  'test.mjs': `import assert from 'node:assert'
import test from 'node:test'
import { add } from './math.mjs'
test('add', () => assert.equal(add(2, 3), 5))
`,
}

const script = {
  turns: [
    ...commands.map((line) => ({ calls: [{ name: 'shell', input: { command: line } }] })),
    { text: 'The test passes now.' },
  ],
}

export const benchmark: Benchmark = {
  name: 'run',
  about: `a whole scripted run of ${commands.length} tool calls`,
  async run(place) {
    await using world = await World.make()
    const repo = await world.repository('repo', files)
    const toolMs: number[] = []
    const insideMs: number[] = []
    const forge = async () => {
      const model = await world.model(script)
      let stdout = ''
      const ms = await timed(async () => {
        const ended = await world.forge(['run', 'make the test pass', '--json', '--repo', repo], {
          env: { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'none' },
        })
        if (ended.code !== 0)
          throw new Error(`forge run ended with ${ended.code}: ${ended.stdout}${ended.stderr}`)
        stdout = ended.stdout
      })
      const events = eventsOf(stdout)
      const finished = events.find((event) => event.type === 'run.finished')
      const tools = events.filter((event) => event.type === 'tool.finished')
      if (tools.length !== commands.length) throw new Error(`${tools.length} tool calls were made`)
      insideMs.push(finished?.data.ms ?? Number.NaN)
      toolMs.push(tools.reduce((sum, event) => sum + event.data.ms, 0))
      return ms
    }
    let count = 0
    const bare = async () => {
      const copy = path.join(place.scratch, `copy-${count++}`)
      await cp(repo, copy, { recursive: true })
      return timed(async () => {
        for (const line of commands) await command('bash', ['-c', line], { cwd: copy })
      })
    }
    const warmUp = 2
    const found = await inTurns({ forge, bare }, { times: 15, warmUp })
    const peer = { peer: `the same ${commands.length} commands, each by bash -c`, peerSample: found.bare }
    return {
      comparisons: [
        {
          ours: 'forge run --json, from process start to exit',
          unit: 'ms',
          oursSample: found.forge,
          ...peer,
        },
        { ours: 'run.finished.ms', unit: 'ms', oursSample: sampleOf(insideMs.slice(warmUp)), ...peer },
        {
          ours: 'the tool calls of the run',
          unit: 'ms',
          oursSample: sampleOf(toolMs.slice(warmUp)),
          ...peer,
        },
      ],
    }
  },
}
