import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sandbox } from '#core/sandbox/sandbox.ts'
import { contract, only } from '#e2e/world/contract.ts'
import { serveGit } from '#e2e/world/git-host.ts'
import { guestRequest } from '#e2e/world/guest-request.ts'
import { World } from '#e2e/world/world.ts'

const hostAddress = Object.values(networkInterfaces())
  .flat()
  .find((each) => each?.family === 'IPv4' && !each.internal)?.address

describe('a sandbox on the network', () => {
  let world: World
  let id: string
  beforeAll(async () => {
    world = await World.make()
    id = (await world.json<Sandbox>(['sandbox', 'create'])).id
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const inside = (command: string, sandbox = id) => world.forge(['sandbox', 'exec', sandbox, '--', command])

  it('has no interface but lo, and no route', async () => {
    const { stdout } = await inside(
      "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; tail -n +2 /proc/net/route",
    )
    expect(stdout.trim()).toBe('lo')
  })

  it('reaches nothing directly: no service of the host, no address, no name', async () => {
    const model = await world.model({ turns: [{ text: 'reached' }] })
    const { port } = new URL(model.url)
    expect((await fetch(`${model.url}/v1/models`)).status).toBe(200)
    const asked = (host: string) => inside(guestRequest({ url: `http://${host}/v1/models`, direct: true }))
    // What is forwarded answers: the command itself works.
    expect((await asked('127.0.0.1:4141')).stdout).toMatch(/\n\d{3}$/m)
    const addresses = ['127.0.0.1', '[::1]', '169.254.169.254', '1.1.1.1', '[2606:4700::1111]']
    for (const address of hostAddress ? [...addresses, hostAddress] : addresses) {
      expect((await asked(`${address}:${port}`)).code, address).toBe(7)
    }
    const udp = `use IO::Socket::INET; my $s = IO::Socket::INET->new(PeerAddr => "1.1.1.1:53", Proto => "udp"); exit($s && $s->send("x") ? 0 : 7)`
    expect((await inside(`perl -e '${udp}'`)).code).toBe(7)
    expect((await inside('getent hosts registry.npmjs.org')).code).not.toBe(0)
  })

  it('is told by the proxy what is refused and how to allow it', async () => {
    const plain = await inside(guestRequest({ url: 'http://example.com/' }))
    expect(plain.stdout).toMatch(
      /example\.com:80[\s\S]*not_allowed[\s\S]*--allow example\.com:80[\s\S]*\n403$/m,
    )
    const tunnel = await inside(guestRequest({ url: 'https://example.com/' }))
    expect(tunnel).toMatchObject({ code: 7, stderr: expect.stringContaining('CONNECT 403') })
    for (const name of ['localhost', '127.0.0.1', '169.254.169.254', '[::ffff:127.0.0.1]']) {
      const { stdout } = await inside(guestRequest({ url: `http://${name}/` }))
      expect(stdout, name).toMatch(/^403$/m)
    }
  })

  it('reaches the npm registry through the proxy, with TLS verified', async () => {
    const install = await inside(
      'mkdir -p /tmp/p && cd /tmp/p && npm init -y >/dev/null && npm install is-number && node -p "require(\'is-number\')(4)"',
    )
    expect(install.stdout, install.stderr).toMatch(/true\s*$/)
    const url = 'https://registry.npmjs.org/is-number'
    const trusted = await inside(guestRequest({ url }))
    expect(trusted.stdout, trusted.stderr).toMatch(/^200$/m)
    expect(await inside(guestRequest({ url, ca: [] }))).toMatchObject({
      code: 7,
      stderr: expect.stringMatching(/certificate/),
    })
  }, 90_000)

  it('lets curl through', async ({ skip }) => {
    if ((await inside('command -v curl')).code !== 0)
      skip('the host, whose programs a sandbox sees, has no curl')
    const fetching = 'curl -sS -m 30 -o /dev/null https://registry.npmjs.org/is-number'
    expect((await inside(fetching)).code).toBe(0)
    expect((await inside(`${fetching} --cacert /dev/null`)).code).not.toBe(0)
    expect((await inside('curl -sS -m 20 https://example.com/')).stderr).toMatch(/403/)
  }, 90_000)

  it('lets pip through to its registry', async ({ skip }) => {
    if ((await inside('command -v pip3')).code !== 0)
      skip('the host, whose programs a sandbox sees, has no pip')
    const download = await inside('pip3 download --retries 1 --no-deps --no-cache-dir six -d /tmp/six')
    const said = download.stdout + download.stderr
    // Where the machine itself cannot resolve pypi.org, the proxy has allowed it and says just that.
    if (download.code !== 0) expect(said).toMatch(/502 Forge egress could not reach pypi\.org:443/)
    else expect(said).toMatch(/Successfully downloaded six/)
  }, 60_000)

  it('clones by https through the proxy, where an entry opens the address', async () => {
    const repo = await world.repository('upstream', { 'a.txt': 'from upstream\n' })
    const tls = { key: path.join(world.dir, 'key.pem'), cert: path.join(world.dir, 'cert.pem') }
    await promisify(execFile)('openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=DNS:localhost', '-keyout', tls.key, '-out', tls.cert],
    ])
    const [key, cert] = await Promise.all([readFile(tls.key, 'utf8'), readFile(tls.cert, 'utf8')])
    await using host = await serveGit(path.dirname(repo), { key, cert })
    const { port } = host
    const allow = ['--allow', `localhost:${port}`, '--allow', `127.0.0.1:${port}`, '--allow', `[::1]:${port}`]
    const open = await world.json<Sandbox>(['sandbox', 'create', ...allow])
    await world.forge(['sandbox', 'cp', tls.cert, `${open.id}:/tmp/ca.pem`])
    const clone = `NO_PROXY= no_proxy= git clone -q https://localhost:${port}/upstream/.git /tmp/c`
    const trusted = await inside(`GIT_SSL_CAINFO=/tmp/ca.pem ${clone} && cat /tmp/c/a.txt`, open.id)
    expect(trusted.stdout, trusted.stderr).toBe('from upstream\n')
    const untrusted = await inside(`${clone}2`, open.id)
    expect(untrusted.stderr).toMatch(/certificate/)
    expect((await inside(`${clone}3`)).stderr).toMatch(/403/)
  })

  it('puts each decision into the ledger of its run', async () => {
    const urls = ['http://example.com/', 'https://registry.npmjs.org/is-number']
    const command = urls.map((url) => `${guestRequest({ url })} > /dev/null`).join('; ')
    const model = await world.model({
      turns: [{ calls: [{ name: 'shell', input: { command } }] }, { text: 'ok' }],
    })
    const result = await world.forge(['run', '--json', 'Fetch'], { env: { ANTHROPIC_BASE_URL: model.url } })
    const decided = only(contract(result).events, 'egress.decided')
    expect(decided).toMatchObject([
      { actor: 'sandbox', data: { host: 'example.com', port: 80, via: 'http', allowed: false } },
      { data: { host: 'registry.npmjs.org', port: 443, via: 'connect', allowed: true } },
    ])
  })
})
