import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCommand } from '../../host-tools/run.ts'
import type { Created, CreateRequest } from '../../provider.ts'
import { makeKeyPair } from '../../wire/keys.ts'
import { testHostTools } from '../../wire/real-sshd.ts'
import { hostTraces } from './host-traces.ts'
import { bubblewrapProvider } from './provider.ts'
import { asRoot, connectTo, newId, serverUid, type TestWorld, testLimits, testWorld } from './test-world.ts'

let world: TestWorld
beforeAll(async () => {
  world = await testWorld()
})
afterAll(() => world?.[Symbol.asyncDispose]())

interface Prepared {
  readonly request: CreateRequest
  readonly clientPrivateKey: string
  readonly hostPublicKey: string
}

function prepare(): Prepared {
  const [client, host] = [makeKeyPair(), makeKeyPair()]
  const request = {
    id: newId(),
    limits: testLimits,
    clientPublicKey: client.publicKey,
    hostPrivateKey: host.privateKey,
  }
  return { request, clientPrivateKey: client.privateKey, hostPublicKey: host.publicKey }
}

const soon = () => AbortSignal.timeout(20_000)

/** A create in a process of its own, which prints `going` before and the result after it. */
async function createElsewhere(request: CreateRequest) {
  const options = { stateDir: world.stateDir, tools: await testHostTools(), serverUid }
  const program = `
    const { bubblewrapProvider } = await import(${JSON.stringify(path.join(import.meta.dirname, 'provider.ts'))})
    const provider = bubblewrapProvider(${JSON.stringify(options)})
    await provider.list()
    console.log('going')
    console.log(JSON.stringify(await provider.create(${JSON.stringify(request)}, AbortSignal.timeout(20_000))))
    process.exit(0)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  let rest = ''
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
  })
  const line = async (index: number): Promise<string> => {
    await expect.poll(() => lines.length, { timeout: 20_000, interval: 2 }).toBeGreaterThan(index)
    return lines[index] ?? ''
  }
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  return { child, line, ended }
}

describe('the end of a sandbox', () => {
  it('leaves nothing on the host', async () => {
    const sandbox = await world.start()
    await sandbox.text('mkdir -p /work/a/b && chmod 000 /work/a; (setsid sleep 600 >/dev/null 2>&1 &)')
    expect(await hostTraces(world.stateDir, sandbox.id)).not.toEqual([])
    await world.provider.destroy(sandbox.id)
    expect(await hostTraces(world.stateDir, sandbox.id)).toEqual([])
    expect(await world.provider.inspect(sandbox.id, sandbox.handle)).toEqual({
      state: 'gone',
      reason: 'destroyed',
    })
    await expect(world.provider.open(sandbox.id, sandbox.handle)).rejects.toMatchObject({
      code: 'sandbox_lost',
    })
    await world.provider.destroy(sandbox.id)
    expect(await world.provider.list()).not.toContain(sandbox.id)
  })

  it('is seen when somebody kills it', async () => {
    const sandbox = await world.start()
    process.kill(Number(sandbox.handle.pid), 'SIGKILL')
    await expect
      .poll(() => world.provider.inspect(sandbox.id, sandbox.handle), { timeout: 2000 })
      .toEqual({ state: 'gone', reason: 'killed' })
    expect(await world.provider.list()).toContain(sandbox.id)
    await world.provider.destroy(sandbox.id)
    expect(await hostTraces(world.stateDir, sandbox.id)).toEqual([])
  })

  it('is not mistaken for another process with the same pid', async () => {
    const sandbox = await world.start()
    const handle = { ...sandbox.handle, start: '1' }
    expect((await world.provider.inspect(sandbox.id, handle)).state).toBe('gone')
    expect((await world.provider.inspect(sandbox.id, { pid: 'x' })).state).toBe('gone')
    await world.provider.destroy(sandbox.id)
  })

  it('removes folders that nobody may enter and paths longer than the system takes', async () => {
    const sandbox = await world.start()
    await sandbox.perl('for (1 .. 60) { my $n = "d" x 200; mkdir $n; chdir $n }')
    await world.provider.destroy(sandbox.id)
    expect(await hostTraces(world.stateDir, sandbox.id)).toEqual([])
  })
})

describe('a server that goes away', () => {
  it('leaves its sandboxes running for the next one', async () => {
    const prepared = prepare()
    const { line, ended } = await createElsewhere(prepared.request)
    const created = JSON.parse(await line(1)) as Created
    await ended
    const { id } = prepared.request
    expect(await world.provider.inspect(id, created.handle)).toEqual({ state: 'running' })
    const wire = await connectTo(world.provider, id, { ...prepared, created })
    expect((await wire.run({ command: 'exit 7' })).code).toBe(7)
    wire.close()
    const again = await connectTo(world.provider, id, { ...prepared, created })
    expect((await again.run({ command: 'exit 8' })).code).toBe(8)
    again.close()
    await world.provider.destroy(id)
    expect(await hostTraces(world.stateDir, id)).toEqual([])
  })

  it.each([0, 4, 8, 12, 16, 20, 25, 30, 40])(
    'killed %d ms into a create, leaves what the next one finds and removes',
    async (delay) => {
      const { request } = prepare()
      const { child, line, ended } = await createElsewhere(request)
      await line(0)
      await sleep(delay)
      child.kill('SIGKILL')
      await ended
      // What it had started goes on by itself for a moment.
      await sleep(100)
      if ((await hostTraces(world.stateDir, request.id)).length > 0)
        expect(await world.provider.list()).toContain(request.id)
      await world.provider.destroy(request.id)
      await sleep(100)
      expect(await hostTraces(world.stateDir, request.id)).toEqual([])
    },
  )
})

describe('create', () => {
  it('starts anew where an earlier attempt left something', async () => {
    const prepared = prepare()
    await world.provider.create(prepared.request, soon())
    const created = await world.provider.create(prepared.request, soon())
    const wire = await connectTo(world.provider, prepared.request.id, { ...prepared, created })
    expect((await wire.run({ command: 'true' })).code).toBe(0)
    wire.close()
    await world.provider.destroy(prepared.request.id)
    expect(await hostTraces(world.stateDir, prepared.request.id)).toEqual([])
  })

  it.each([0, 5, 10, 15, 20, 25])('stopped after %d ms leaves nothing', async (delay) => {
    const { request } = prepare()
    const controller = new AbortController()
    const creating = world.provider.create(request, controller.signal)
    setTimeout(() => controller.abort(), delay)
    await creating.then(
      () => world.provider.destroy(request.id),
      (error: unknown) => expect(error).toMatchObject({ code: 'interrupted' }),
    )
    expect(await hostTraces(world.stateDir, request.id)).toEqual([])
  })

  it('makes many at once, each with its own', async () => {
    const many = await Promise.all(Array.from({ length: 8 }, () => world.start()))
    const names = await Promise.all(
      many.map((sandbox, index) => sandbox.text(`echo ${index} > /work/me; cat /work/me`)),
    )
    expect(names).toEqual(many.map((_, index) => String(index)))
    if (asRoot) expect(new Set(many.map((sandbox) => sandbox.handle.uid)).size).toBe(8)
    await Promise.all(many.map((sandbox) => world.provider.destroy(sandbox.id)))
    for (const sandbox of many) expect(await hostTraces(world.stateDir, sandbox.id)).toEqual([])
  })

  it('says why bubblewrap did not start, and leaves nothing', async () => {
    const tools = { ...(await testHostTools()), bwrap: '/bin/false' }
    const broken = bubblewrapProvider({ stateDir: path.join(world.stateDir, 'broken'), tools, serverUid })
    const { request } = prepare()
    await expect(broken.create(request, soon())).rejects.toMatchObject({ code: 'provider_unavailable' })
    expect(await broken.list()).toEqual([])
    expect(await hostTraces(world.stateDir, request.id)).toEqual([])
    expect(await broken.probe(soon())).toMatchObject({ works: false, bootMs: null, enforcement: null })
  })

  it.runIf(asRoot)(
    'does without an image where the host will not mount one (only root mounts)',
    async (test) => {
      await using other = await testWorld()
      const { disk } = (await other.start()).enforcement
      if (!disk.enforced) test.skip(disk.how)
      // The server's.
      const mask = process.umask(0o077)
      test.onTestFinished(() => void process.umask(mask))
      const templates = path.join(other.stateDir, 'templates')
      for (const name of await readdir(templates))
        await writeFile(path.join(templates, name), Buffer.alloc(1 << 20))
      const second = await other.start()
      expect(second.enforcement.disk).toMatchObject({
        enforced: false,
        how: expect.stringContaining('mounting the disk image'),
      })
      expect(await second.text('echo x > /work/x && cat /work/x')).toBe('x')
      await other.provider.destroy(second.id)
      expect(await hostTraces(other.stateDir, second.id)).toEqual([])
    },
  )

  it.runIf(asRoot)('says that the disk is full (needs root to mount a small one)', async () => {
    const small = await mkdtemp(path.join(os.tmpdir(), 'forge-small-'))
    await runCommand('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', small])
    try {
      const tools = await testHostTools()
      const full = bubblewrapProvider({ stateDir: path.join(small, 'state'), tools, serverUid })
      const { request } = prepare()
      await expect(full.create(request, soon())).rejects.toMatchObject({ code: 'disk_full' })
      expect(await hostTraces(small, request.id)).toEqual([])
    } finally {
      await runCommand('umount', [small])
      await rm(small, { recursive: true })
    }
  })
})

describe('two servers on one host', () => {
  it('see only their own, whatever the length of their path', async () => {
    const deep = path.join(world.stateDir, 'x'.repeat(120))
    const other = bubblewrapProvider({ stateDir: deep, tools: await testHostTools(), serverUid })
    const [mine, theirs] = [await world.start(), prepare()]
    const created = await other.create(theirs.request, soon())
    try {
      expect(await other.list()).toEqual([theirs.request.id])
      expect(await world.provider.list()).not.toContain(theirs.request.id)
      if (asRoot) expect(created.handle.uid).not.toBe(mine.handle.uid)
      const wire = await connectTo(other, theirs.request.id, { ...theirs, created })
      expect((await wire.run({ command: 'true' })).code).toBe(0)
      wire.close()
    } finally {
      await other.destroy(theirs.request.id)
      await world.provider.destroy(mine.id)
    }
  })
})

describe('probe', () => {
  it('boots one, says how its limits hold, and takes it away', async () => {
    const before = await world.provider.list()
    const report = await world.provider.probe(soon())
    expect(report).toMatchObject({ id: 'bubblewrap', works: true, kernel: 'shared', fix: [] })
    expect(report.enforcement).not.toBeNull()
    expect(await world.provider.list()).toEqual(before)
  })
})

describe('a terminal', () => {
  it('has the size it was given, and belongs to the agent', async () => {
    const sandbox = await world.start()
    const terminal = await sandbox.wire.terminal({
      command: 'stty size; test -O $(tty) && echo mine',
      columns: 91,
      rows: 17,
    })
    let shown = ''
    for await (const chunk of terminal.stream) shown += String(chunk)
    expect(shown).toContain('17 91')
    expect(shown).toContain('mine')
    await world.provider.destroy(sandbox.id)
  })
})
