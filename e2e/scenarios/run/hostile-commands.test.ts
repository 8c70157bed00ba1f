import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Event } from '#core/event/event.ts'
import type { ProviderReport } from '#core/sandbox/sandbox.ts'
import { contract, only } from '#e2e/world/contract.ts'
import { processesWith } from '#e2e/world/processes.ts'
import { World } from '#e2e/world/world.ts'

/** With what bash has: a bare guest has no pkill. */
const killSshd =
  'for p in /proc/[0-9]*; do read -r name < $p/comm; if [ "$name" = sshd ]; then kill -9 "$(basename $p)"; fi; done 2> /dev/null'

const sandboxOf = (events: readonly Event[]): string => only(events, 'sandbox.ready')[0]?.data.sandbox ?? ''

describe('an agent whose commands misbehave', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
    await world.forge(['config', 'set', 'sandbox.limits.diskMb', '256'])
    await world.forge(['config', 'set', 'sandbox.limits.pids', '200'])
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const shell = (command: string, more: object = {}) => ({
    calls: [{ name: 'shell', input: { command, ...more } }],
  })

  async function begin(commands: object[]) {
    const model = await world.model({ turns: [...commands, { text: 'I went on.' }] })
    return world.start(['run', '--json', 'Misbehave'], { env: { ANTHROPIC_BASE_URL: model.url } })
  }

  /** Runs them to the end: the run goes on after each, and nothing of them is left on the host. */
  async function play(...commands: object[]) {
    const result = await (await begin(commands)).finished
    const stream = contract(result)
    expect(stream.finished.data, result.stdout).toMatchObject({ outcome: 'done', summary: 'I went on.' })
    expect(processesWith(sandboxOf(stream.events))).toEqual([])
    return only(stream.events, 'tool.finished').map(({ data }) => data)
  }

  it('prints 1 GB: the model sees a part, the event stays small', async () => {
    const [tool] = await play(shell('head -c 1000000000 /dev/zero | tr "\\0" x; echo; echo END'))
    expect(tool?.content.length).toBeLessThan(200_000)
    expect(tool?.content).toMatch(/xxx/)
  }, 120_000)

  it('never ends and ignores SIGTERM: it is ended at its time limit', async () => {
    const [stubborn, after] = await play(
      shell("trap '' TERM INT HUP; while :; do sleep 0.2; done", { timeout_seconds: 2 }),
      shell('echo alive'),
    )
    expect(stubborn?.content).toMatch(/time|limit|ended|killed/i)
    expect(after?.content).toMatch(/alive/)
  })

  it('forks away: nothing of it is on the host when the run is over', async () => {
    const seconds = `86${process.pid}`
    const [, looked] = await play(
      shell(`setsid nohup sleep ${seconds} >/dev/null 2>&1 & (sleep ${seconds} & disown); echo away`),
      shell(`pgrep -fc 'sleep ${seconds.slice(0, -1)}[${seconds.at(-1)}]'; true`),
    )
    expect(looked?.isError).toBe(false)
    expect(processesWith(seconds)).toEqual([])
  })

  it('fills the disk: it is told, and can mend it', async ({ skip }) => {
    const [report] = await world.json<ProviderReport[]>(['doctor'])
    const disk = report?.enforcement?.disk
    if (!disk?.enforced) skip(`the disk is not limited here: ${disk?.how}`)
    const [full, cleared] = await play(
      shell('head -c 2000000000 /dev/zero > /tmp/full'),
      shell('rm /tmp/full && echo x > /tmp/x && echo cleared'),
    )
    expect(full?.content).toMatch(/no space/i)
    expect(cleared?.content).toMatch(/cleared/)
  })

  it('forks without bound: the bound holds, and the run goes on', async () => {
    const bomb = 'bomb() { sleep 3; bomb | bomb & }; for i in $(seq 300); do bomb & done; wait'
    const [, after] = await play(shell(bomb, { timeout_seconds: 5 }), shell('echo well'))
    expect(after?.content).toMatch(/well/)
  }, 60_000)

  it('kills its own way in: the run goes on over a new one', async () => {
    const tools = await play(shell(`${killSshd}; sleep 5; echo unreached`), shell('echo back'))
    expect(tools.at(-1)?.content).toMatch(/back/)
  })

  it('loses its sandbox: the run says so at once and ends with 9', async () => {
    const run = await begin([shell('sleep 600')])
    const said = await run.says(/"type":"tool.started"/)
    const id = /sbx_[a-z0-9]{10}/.exec(said)?.[0] ?? ''
    const pids = processesWith(id)
    expect(pids.length).toBeGreaterThan(0)
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    const { events, finished } = contract(await run.finished)
    expect(finished.data).toMatchObject({ outcome: 'sandbox_lost', exitCode: 9 })
    expect(only(events, 'sandbox.lost')).toMatchObject([{ data: { sandbox: id } }])
    expect(await world.json(['sandbox', 'ls'])).toEqual([])
  })

  it('loses its sandbox while its work is brought out: that is not done', async () => {
    const run = await begin([shell('head -c 150000000 /dev/urandom > work.bin')])
    const id = /sbx_[a-z0-9]{10}/.exec(await run.says(/"type":"agent.finished"/))?.[0] ?? ''
    for (const pid of processesWith(id)) process.kill(pid, 'SIGKILL')
    const { events, finished } = contract(await run.finished)
    expect(finished.data).toMatchObject({ outcome: 'sandbox_lost', exitCode: 9, diff: null })
    expect(only(events, 'run.warning')).toHaveLength(1)
  })
})
