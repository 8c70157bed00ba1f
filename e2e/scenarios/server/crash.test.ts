import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Run } from '#core/run/run.ts'
import { eventsOf, World } from '#e2e/world/world.ts'

const steps = 6

/** Each step leaves a line, so a command that ran twice shows. */
const script = {
  by: 'conversation' as const,
  turns: [
    ...Array.from({ length: steps }, (_, index) => ({
      text: `Step ${index + 1}.`,
      calls: [{ name: 'shell', input: { command: `sleep 0.3; echo ${index + 1} >> steps.txt` } }],
    })),
    { text: 'All steps are done.' },
  ],
}

describe('kill -9 of the server', () => {
  let world: World
  let repo: string
  beforeAll(async () => {
    world = await World.make()
    repo = await world.repository('repo', { 'readme.txt': 'steps\n' })
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it.each([
    'sandbox.ready',
    'workspace.prepared',
    'message.user',
    'tool.started',
    'tool.finished',
    'agent.finished',
  ])(
    'after %s, the client misses nothing and nothing is done twice',
    async (point) => {
      const model = await world.model(script)
      let killed = false
      const { code, stdout, stderr } = await world.forge(['run', '--json', '--repo', repo, 'Do the steps'], {
        env: { ANTHROPIC_BASE_URL: model.url },
        onStdout: (text) => {
          if (killed || !text.includes(`"type":"${point}"`)) return
          killed = true
          void world.serverPid().then((pid) => process.kill(pid, 'SIGKILL'))
        },
      })
      expect(killed).toBe(true)
      const events = eventsOf(stdout)
      expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1))
      expect(events.at(-1)?.type, stdout + stderr).toBe('run.finished')
      expect(code, stderr).toBe(0)
      const diff = await world.forge(['diff', events[0]?.run ?? 'last'])
      const lines = diff.stdout.match(/^\+\d+$/gm) ?? []
      expect(new Set(lines).size).toBe(lines.length)
      expect(await world.json(['sandbox', 'ls'])).toEqual([])
      const [run] = await world.json<Run[]>(['runs', 'ls'])
      expect(run).toMatchObject({ state: 'finished', outcome: 'done', lastSeq: events.length })
    },
    60_000,
  )
})
