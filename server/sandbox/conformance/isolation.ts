import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { killRunning, nap, skipBecause, text, type WireRig } from './rig.ts'
import type { World } from './world.ts'

const listen = (server: Server, at: number | string) =>
  new Promise<void>((resolve) => {
    if (typeof at === 'string') server.listen(at, resolve)
    else server.listen(at, '0.0.0.0', resolve)
  })

export function networkTests(rig: WireRig): void {
  describe('there is no network', () => {
    const server = createServer((socket) => socket.end('reached the host'))
    const abstract = createServer((socket) => socket.end('reached the host'))
    const abstractName = `forge-conformance-${process.pid}`
    let port = 0
    beforeAll(async () => {
      await listen(server, 0)
      const address = server.address()
      port = typeof address === 'object' && address !== null ? address.port : 0
      await listen(abstract, `\0${abstractName}`)
    })
    afterAll(() => {
      server.close()
      abstract.close()
    })

    test('no interface but the loopback', async () => {
      const lines = (await text(rig, 'cat /proc/net/dev')).split('\n').filter((line) => line.includes(':'))
      expect(lines.map((line) => line.split(':')[0]?.trim())).toEqual(['lo'])
      expect((await text(rig, 'cat /proc/net/route')).trim().split('\n').length).toBe(1)
    })

    test('no address of the host, the internet or a cloud answers', async () => {
      const own = Object.values(os.networkInterfaces()).flatMap((list) =>
        (list ?? []).map((one) => one.address),
      )
      const hosts = [
        '127.0.0.1',
        ...own,
        '1.1.1.1',
        '169.254.169.254',
        '10.0.0.1',
        '172.17.0.1',
        '2606:4700::1111',
      ]
      for (const host of new Set(hosts)) {
        const { code, stdout } = await rig.wire().run({
          command: `exec 3<>/dev/tcp/${host}/${host.startsWith('1.1') ? 443 : port} && cat <&3`,
          timeout: 5000,
        })
        expect([host, code === 0, stdout.toString()]).toEqual([host, false, ''])
      }
    })

    test('no datagram leaves, so no name is asked for', async () => {
      for (const host of ['8.8.8.8', '224.0.0.251', '255.255.255.255'])
        expect((await rig.wire().run({ command: `echo x >/dev/udp/${host}/53` })).code).not.toBe(0)
      expect(
        (await rig.wire().run({ command: 'getent hosts deb.debian.org', timeout: 10_000 })).code,
      ).not.toBe(0)
    })

    test('no abstract socket of the host is in reach', async () => {
      const result = await rig.wire().run({
        command: `perl -MSocket -e 'socket($s, AF_UNIX, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_un("\\0${abstractName}")) or exit 9; print <$s>'`,
      })
      expect([result.code, result.stdout.toString()]).toEqual([9, ''])
    })
  })
}

export function hostTests(rig: WireRig, world: World): void {
  describe('nothing of the host is in reach', () => {
    const canary = `canary-${process.pid}-${Date.now()}`
    const files = [os.homedir(), os.tmpdir(), process.cwd()].map((dir) => path.join(dir, `.forge-${canary}`))
    beforeAll(async () => {
      for (const file of files) await writeFile(file, canary)
    })
    afterAll(async () => {
      for (const file of files) await rm(file, { force: true })
    })

    test('its files', async () => {
      for (const file of files)
        expect((await rig.wire().run({ command: `cat '${file}'` })).stdout.toString()).toBe('')
      const found = await text(
        rig,
        `find / -xdev -name '*${canary}*' 2>/dev/null; ls -A /root /home/* 2>/dev/null`,
      )
      expect(found).not.toContain(canary)
      // An image has one of its own, which its user may not read.
      expect((await rig.wire().run({ command: 'cat /etc/shadow' })).stdout.toString()).toBe('')
      for (const file of ['/root/.ssh', '/var/lib/forge', '/run/docker.sock', '/var/run/docker.sock'])
        expect((await rig.wire().run({ command: `cat ${file}; ls ${file}` })).stdout.toString()).toBe('')
    })

    test('its programs, which cannot be changed', async () => {
      const { stdout } = await rig.wire().run({
        command:
          'for d in / /usr /usr/bin /bin /etc /lib /opt /run /boot; do touch $d/forge-touch 2>/dev/null && echo $d; done',
      })
      expect(stdout.toString()).toBe('')
    })

    test('its processes and environment', async () => {
      const pids = (await text(rig, 'cd /proc; echo [0-9]*')).trim().split(' ')
      expect(pids.length).toBeLessThan(100)
      const all = await text(
        rig,
        'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n"',
      )
      expect(all).not.toContain('vitest')
      expect(all).not.toContain(process.cwd())
    })

    test('its account: not root inside, no way to become it', async () => {
      expect(Number(await text(rig, 'id -u'))).toBeGreaterThan(0)
      const status = await text(rig, 'cat /proc/self/status')
      for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
        expect(status).toMatch(new RegExp(`Cap${set}:\\s0+\\n`))
      expect(status).toMatch(/NoNewPrivs:\s1\n/)
      expect((await rig.wire().run({ command: 'su -c true; sudo -n true', timeout: 10_000 })).code).not.toBe(
        0,
      )
    })

    test('its account: not root outside either', async ({ skip }) => {
      if (world.provider.capabilities.kernel === 'own')
        skipBecause('its processes are none of the host’s', skip)
      await rig.wire().run({ command: `${nap(7491)} & exit 0` })
      const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
      const lines = await Promise.all(
        pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
      )
      const outside = pids[lines.indexOf(`${nap(7491).replace(' ', '\0')}\0`)]
      const status = await readFile(`/proc/${outside}/status`, 'utf8')
      expect(status).toMatch(/^Uid:(\t[1-9]\d*){4}$/m)
      expect(status).toMatch(/^Gid:(\t[1-9]\d*){4}$/m)
      expect(status).toMatch(/^Groups:\s*([1-9]\d* ?)*$/m)
      expect(status).toMatch(/^CapEff:\t0+$/m)
      await killRunning(rig, nap(7491))
    })

    test('its kernel’s settings', async () => {
      const knobs = [
        'kernel/core_pattern',
        'kernel/hostname',
        'vm/overcommit_memory',
        'net/ipv4/ip_forward',
        'kernel/modprobe',
      ]
      for (const knob of knobs) {
        const before = await readFile(`/proc/sys/${knob}`, 'utf8').catch(() => null)
        const { code } = await rig.wire().run({ command: `echo 1 >/proc/sys/${knob}` })
        expect([knob, code]).not.toEqual([knob, 0])
        expect(await readFile(`/proc/sys/${knob}`, 'utf8').catch(() => null)).toBe(before)
      }
      const writable = await text(rig, 'find /proc/sys /sys -type f -writable 2>/dev/null | head')
      expect(writable).toBe('')
    })

    test('its devices', async ({ skip }) => {
      const harmless =
        /^(console|core|fd|full|mqueue|null|ptmx|pts|random|shm|stderr|stdin|stdout|tty|urandom|zero|termination-log)$/
      if (world.provider.capabilities.kernel === 'own') skipBecause('its devices are its own', skip)
      const devices = (await text(rig, 'ls -1 /dev')).trim().split('\n')
      expect(devices.filter((name) => !harmless.test(name))).toEqual([])
    })
  })
}
