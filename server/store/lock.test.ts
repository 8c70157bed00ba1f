import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockDataDir } from './lock.ts'

const holder = `
  import { lockDataDir } from ${JSON.stringify(path.resolve('server/store/lock.ts'))}
  await lockDataDir(process.argv[1]).then(() => console.log('locked'), (error) => console.log(error.code, error.data.pid))
  setInterval(() => undefined, 1000)`

describe('lockDataDir', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'forge-lock-'))
  })
  afterEach(() => rm(dir, { recursive: true }))

  const startHolder = async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', holder, dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = await once(child.stdout, 'data')
    return { child, said: String(line).trim() }
  }

  it('names the pid of the other, and is free when it is released', async () => {
    const lock = await lockDataDir(dir)
    await expect(lockDataDir(dir)).rejects.toMatchObject({
      code: 'server_locked',
      data: { pid: process.pid },
    })
    await lock.release()
    await (await lockDataDir(dir)).release()
  })

  it('is free at once when its holder is killed, whatever it left', async () => {
    const { child, said } = await startHolder()
    expect(said).toBe('locked')
    await expect(lockDataDir(dir)).rejects.toMatchObject({ code: 'server_locked', data: { pid: child.pid } })
    child.kill('SIGKILL')
    await once(child, 'exit')
    await (await lockDataDir(dir)).release()
  })

  it('lets exactly one of many in', { timeout: 60_000 }, async () => {
    const holders = await Promise.all(Array.from({ length: 6 }, startHolder))
    const winners = holders.filter(({ said }) => said === 'locked')
    expect(winners).toHaveLength(1)
    for (const { said } of holders)
      if (said !== 'locked') expect(said).toBe(`server_locked ${winners[0]?.child.pid}`)
    for (const { child } of holders) child.kill('SIGKILL')
  })

  it('is not inherited by programs that the holder starts', async () => {
    const lock = await lockDataDir(dir)
    const child = spawn('sleep', ['20'], { stdio: 'ignore' })
    await lock.release()
    await (await lockDataDir(dir)).release()
    child.kill()
  })

  it('tells when the directory is taken away, or another put in its place', async () => {
    const lock = await lockDataDir(dir)
    expect(await lock.holds()).toBe(true)
    await rm(path.join(dir, 'lock'))
    expect(await lock.holds()).toBe(false)
    const other = await lockDataDir(dir)
    expect(await lock.holds()).toBe(false)
    expect(await other.holds()).toBe(true)
    await Promise.all([lock.release(), other.release()])
  })
})
