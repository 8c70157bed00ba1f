import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { isAlive } from './process.ts'

test('tells who runs from who has gone', async () => {
  const child = spawn('sleep', ['60'])
  await once(child, 'spawn')
  expect(await isAlive(child.pid ?? 0)).toBe(true)
  child.kill()
  await once(child, 'exit')
  expect(await isAlive(child.pid ?? 0)).toBe(false)
})

test('one that nobody has waited for is not alive', async () => {
  // A parent that never waits for its child, as a careless process 1.
  const parent = spawn('perl', [
    '-e',
    '$| = 1; my $pid = fork // die; exit 0 if !$pid; print "$pid\\n"; sleep 60',
  ])
  const [said] = (await once(parent.stdout, 'data')) as [Buffer]
  const pid = Number(said.toString())
  await expect.poll(() => isAlive(pid)).toBe(false)
  expect(() => process.kill(pid, 0)).not.toThrow()
  parent.kill()
})
