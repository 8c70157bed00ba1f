import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import type Docker from 'dockerode'
import { pack } from 'tar-stream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findCaBundle } from '../../ca-bundle.ts'
import { newId, World } from '../../conformance/world.ts'
import type { SandboxProvider } from '../../provider.ts'
import { labelsOf } from './container.ts'
import { connectEngine } from './engine.ts'
import type { GuestImage } from './image.ts'
import { ownerOf } from './owner.ts'
import { dockerProvider } from './provider.ts'
import { type DockerWorld, dockerWorld } from './test-world.ts'

let engine: DockerWorld | string = 'it was not started'
let docker: Docker
beforeAll(async () => {
  engine = await dockerWorld()
  if (typeof engine !== 'string') docker = await connectEngine({ kind: 'unix', path: engine.engine.socket })
}, 600_000)
beforeEach(({ skip }) => {
  if (typeof engine !== 'string') return
  console.log(`skipped: ${engine}`)
  skip(engine)
})
afterAll(async () => {
  if (typeof engine !== 'string') await engine[Symbol.asyncDispose]()
}, 60_000)

const present = (): DockerWorld => {
  if (typeof engine === 'string') throw new Error(engine)
  return engine
}

const stateDir = (name: string) => path.join(present().scratch, name)

const make = (options: { state?: string; image?: GuestImage; socket?: string } = {}): SandboxProvider =>
  dockerProvider({
    stateDir: stateDir(options.state ?? 'state'),
    endpoint: () => ({ kind: 'unix', path: options.socket ?? present().engine.socket }),
    image: async () => options.image ?? present().image,
  })

const worlds: World[] = []
async function worldOf(provider: SandboxProvider): Promise<World> {
  const world = new World({ name: 'docker', make: async () => provider, kill: async () => undefined })
  worlds.push(world)
  await world.start()
  return world
}
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.end()
})

/** An image of one file. */
async function tinyImage(name: string): Promise<GuestImage> {
  const archive = pack()
  archive.entry({ name: 'hello', mode: 0o644 }, 'hello')
  archive.finalize()
  const file = path.join(present().scratch, 'tiny.tar')
  await writeFile(file, await buffer(archive))
  return { name, archive: file, fix: [] }
}

const marked = async () => {
  const label = ['dev.forge.owner']
  const [containers, volumes] = await Promise.all([
    docker.listContainers({ all: true, filters: { label } }),
    docker.listVolumes({ filters: JSON.stringify({ label }) }),
  ])
  return [...containers.map(({ Names }) => Names.join()), ...volumes.Volumes.map(({ Name }) => Name)]
}

describe('what a sandbox leaves', () => {
  test('is nothing: no container, no volume', async () => {
    const world = await worldOf(make())
    const { id } = await world.create()
    expect((await marked()).length).toBe(4)
    await world.provider.destroy(id)
    expect(await marked()).toEqual([])
    expect((await docker.listVolumes()).Volumes).toEqual([])
  })

  test('of a create that died half-way is found and removed', async () => {
    const provider = make()
    const id = newId()
    await docker.createVolume({ Name: 'half', Labels: labelsOf(await ownerOf(stateDir('state')), id) })
    expect(await provider.list()).toEqual([id])
    await provider.destroy(id)
    expect(await marked()).toEqual([])
  })

  test('of another server on the same engine is not its own', async () => {
    const mine = await worldOf(make())
    const other = make({ state: 'other' })
    const guest = await mine.create()
    expect(await other.list()).toEqual([])
    await other.destroy(guest.id)
    expect(await mine.provider.inspect(guest.id, guest.created.handle)).toEqual({ state: 'running' })
  })
})

describe('a sandbox', () => {
  test('cannot change by what the server enters it', async () => {
    const world = await worldOf(make())
    const guest = await world.create()
    const wire = await world.connect(guest)
    const { stdout } = await wire.run({
      command:
        'cd /run/forge; for f in *; do echo x 2>/dev/null >>$f && echo $f; done; rm -rf /run/forge/* 2>/dev/null; mv /run/forge /run/x 2>/dev/null; ls',
    })
    expect(stdout.toString()).toMatch(
      /^authorized_keys\n(ca-certificates.crt\n)?host_key\ninit\nsshd_config\n$/,
    )
    wire.close()
    const again = await world.connect(guest)
    expect((await again.run({ command: 'echo still' })).stdout.toString()).toBe('still\n')
  })

  test('cannot trace, end or speak through its process 1', async () => {
    const world = await worldOf(make())
    const guest = await world.create()
    const wire = await world.connect(guest)
    const attempts = ['kill -9 1', 'kill -15 1', 'kill -1 1', 'kill -17 1']
    await wire.run({ command: attempts.join('; ') })
    for (const command of ['echo x >/proc/1/fd/1', 'cat /proc/1/environ', 'ls /proc/1/fd', 'cat /proc/1/mem'])
      expect([command, (await wire.run({ command })).code]).not.toEqual([command, 0])
    expect(await world.provider.inspect(guest.id, guest.created.handle)).toEqual({ state: 'running' })
    const { HostConfig } = await docker.getContainer(String(guest.created.handle.container)).inspect()
    expect(HostConfig.LogConfig?.Type).toBe('none')
  })

  test('has each system call filtered as well in what the engine starts later', async () => {
    const world = await worldOf(make())
    const wire = await world.connect(await world.create())
    const { stdout } = await wire.run({ command: 'grep -h Seccomp: /proc/self/status /proc/1/status' })
    expect(stdout.toString()).toBe('Seccomp:\t2\nSeccomp:\t2\n')
  })

  test('knows itself as localhost, and no name server of the host', async () => {
    const world = await worldOf(make())
    const wire = await world.connect(await world.create())
    const { stdout } = await wire.run({ command: 'getent hosts localhost; grep -v "^#" /etc/resolv.conf' })
    expect(stdout.toString()).toMatch(/^(127\.0\.0\.1|::1)\s+localhost.*\nnameserver 127\.0\.0\.1\n$/)
  })

  test('trusts the certificates that the host trusts', async ({ skip }) => {
    const file = await findCaBundle()
    if (file === null) {
      console.log('skipped: this host has no file of trusted certificates')
      return skip('this host has no file of trusted certificates')
    }
    const world = await worldOf(make())
    const wire = await world.connect(await world.create())
    const digest = createHash('sha256')
      .update(await readFile(file))
      .digest('hex')
    const names = ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS', 'REQUESTS_CA_BUNDLE', 'GIT_SSL_CAINFO']
    const { stdout } = await wire.run({
      command: `sha256sum ${names.map((name) => `"$${name}"`).join(' ')} | cut -d' ' -f1 | uniq -c`,
    })
    expect(stdout.toString().trim()).toBe(`${names.length} ${digest}`)
  })

  test('of another id does not answer for this one', async () => {
    const world = await worldOf(make())
    const guest = await world.create()
    expect(await world.provider.inspect(newId(), guest.created.handle)).toMatchObject({ state: 'gone' })
  })
})

describe('what is missing', () => {
  const nobody = 'forge/none:1'

  test('an engine: an error, and never the death of a sandbox', async () => {
    const provider = make({ socket: '/nonexistent/docker.sock', state: 'absent' })
    const unavailable = {
      code: 'provider_unavailable',
      message: expect.stringContaining('cannot be reached'),
    }
    const world = await worldOf(provider)
    await expect(world.create()).rejects.toMatchObject(unavailable)
    const handle = { container: 'a'.repeat(64) }
    await expect(provider.inspect(newId(), handle)).rejects.toMatchObject(unavailable)
    await expect(provider.open(newId(), handle)).rejects.toMatchObject(unavailable)
    const report = await provider.probe(AbortSignal.timeout(10_000))
    expect(report).toMatchObject({
      works: false,
      fix: [expect.stringContaining('install -y docker.io'), 'sudo systemctl start docker'],
    })
    expect(await provider.list()).toEqual([])
    worlds.length = 0
  })

  test('the image: an error that says what to do', async () => {
    const provider = make({ image: { name: nobody, archive: null, fix: ['build it'] } })
    const world = await worldOf(provider)
    await expect(world.create()).rejects.toMatchObject({
      code: 'provider_unavailable',
      hint: 'run: build it',
    })
    expect(await provider.probe(AbortSignal.timeout(10_000))).toMatchObject({
      works: false,
      fix: ['build it'],
    })
    expect(await marked()).toEqual([])
  })

  test('programs in the image: an error that names them, and nothing is left', async () => {
    const provider = make({ image: await tinyImage('forge/tiny:1') })
    const world = await worldOf(provider)
    await expect(world.create()).rejects.toMatchObject({
      code: 'invalid_input',
      message: expect.stringMatching(/sshd.*perl.*bash/),
    })
    expect(await marked()).toEqual([])
  })
})
