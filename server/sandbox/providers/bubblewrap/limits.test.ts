import { chmod, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testHostTools } from '../../wire/real-sshd.ts'
import { isAlive } from './processes.ts'
import { type TestSandbox, type TestWorld, testWorld } from './test-world.ts'

let world: TestWorld
let one: TestSandbox
let neighbour: TestSandbox
beforeAll(async () => {
  world = await testWorld()
  one = await world.start({ memoryMb: 128, pids: 48, diskMb: 32, cpus: 0.25 })
  neighbour = await world.start()
})
afterAll(() => world?.[Symbol.asyncDispose]())

/** A host without the means says so in `enforcement`; then there is nothing to hold it to. */
const needs = (limit: 'memory' | 'pids' | 'disk' | 'cpus', skip: (why: string) => void) => {
  const { enforced, how } = one.enforcement[limit]
  if (!enforced) skip(`${limit}: ${how}`)
}

const eat = (megabytes: number) => `perl -e '$x = "x" x (${megabytes} << 20); print length $x'`

describe('limits', () => {
  it('kill what takes too much memory, and nobody else', async ({ skip }) => {
    needs('memory', skip)
    const hog = await one.wire.run({ command: eat(400) })
    expect(hog.code === 137 || hog.signal === 'KILL').toBe(true)
    expect(await one.text(eat(16))).toBe(String(16 << 20))
    expect(
      await one.text('dd if=/dev/zero of=/dev/shm/x bs=1M count=65 2>&1 | tail -1; rm /dev/shm/x'),
    ).not.toBe('')
    expect(await neighbour.text(eat(16))).toBe(String(16 << 20))
    expect(await world.provider.inspect(one.id, one.handle)).toEqual({ state: 'running' })
  })

  it('stop a fork bomb, which destroy then ends', async ({ skip }) => {
    needs('pids', skip)
    const bombed = await world.start({ pids: 48 })
    const forks = `perl -e '$n = 0; while ($n < 500) { my $p = fork; last unless defined $p; if (!$p) { sleep 600; exit } $n++ } print $n'`
    const made = Number(await bombed.text(`${forks}`))
    expect(made).toBeGreaterThan(10)
    expect(made).toBeLessThan(48)
    expect(await neighbour.text('echo alive')).toBe('alive')
    void bombed.wire
      .exec({
        command: `perl -e 'while (1) { my $p = fork; if (defined $p && !$p) { exec "sleep", "600" } }'`,
      })
      .catch(() => undefined)
    await world.provider.destroy(bombed.id)
    const pid = Number(bombed.handle.pid)
    expect(await isAlive({ pid, start: String(bombed.handle.start) })).toBe(false)
  })

  it('bound everything that it can write to', async ({ skip }) => {
    needs('disk', skip)
    for (const dir of ['/work', '/tmp', '/var/tmp', '/home/agent']) {
      expect(await one.text(`dd if=/dev/zero of=${dir}/big bs=1M count=64`)).toContain('No space left')
      expect(Number(await one.text(`stat -c %s ${dir}/big; rm ${dir}/big`))).toBeLessThan(32 << 20)
    }
    expect(
      await neighbour.text('dd if=/dev/zero of=/work/x bs=1M count=8 && rm /work/x && echo fits'),
    ).toContain('fits')
  })

  it('bound the memory file systems too', async () => {
    const types = await one.text('awk \'$3 == "tmpfs" && $4 !~ /^ro/ { print $2 }\' /proc/mounts')
    expect(types).toBe('/dev/shm')
    expect(
      await neighbour.text('dd if=/dev/zero of=/dev/shm/big bs=1M count=100; rm /dev/shm/big'),
    ).toContain('No space left')
  })

  it('slow it down to its share of the processors', async ({ skip }) => {
    needs('cpus', skip)
    // On a busy machine it is slow in any case; that it is in its cgroup shows that the limit is what slows it.
    expect(await readFile(`/proc/${one.handle.pid}/cgroup`, 'utf8')).toMatch(
      new RegExp(`(:cpu.*|0:):.*${one.id}`),
    )
    const spin = `perl -e 'my $end = time + 2; 1 while time < $end; print((times)[0] + (times)[1])'`
    expect(Number(await one.text(spin))).toBeLessThan(1.6)
  })

  it('hold for /dev/shm also with a bwrap that cannot size a memory file system', async ({ skip }) => {
    needs('disk', skip)
    const tools = await testHostTools()
    const old = path.join(world.stateDir, 'old-bwrap')
    await writeFile(old, `#!/bin/sh\n[ "$1" = --help ] || exec ${tools.bwrap} "$@"\n`, { mode: 0o755 })
    await chmod(world.stateDir, 0o755)
    await using other = await testWorld({ tools: { ...tools, bwrap: old } })
    const sandbox = await other.start({ diskMb: 32 })
    expect(await sandbox.text('dd if=/dev/zero of=/dev/shm/big bs=1M count=64')).toContain('No space left')
    expect(await sandbox.text('echo x > /dev/x')).toContain('Read-only file system')
  })

  it('leave no core file behind', async () => {
    expect(await one.text('grep core /proc/self/limits')).toMatch(/size +1 +1 +bytes/)
  })
})

describe('an end for lack of memory', () => {
  it('is told by inspect', async ({ skip }) => {
    needs('memory', skip)
    const doomed = await world.start({ memoryMb: 64 })
    // The kernel takes the largest first; what ends process 1 in the end is the same cgroup's doing.
    await doomed.wire.run({ command: eat(200) }).catch(() => undefined)
    process.kill(Number(doomed.handle.pid), 'SIGKILL')
    await expect
      .poll(() => world.provider.inspect(doomed.id, doomed.handle), { timeout: 10_000 })
      .toEqual({ state: 'gone', reason: 'killed: out of memory' })
  })
})
