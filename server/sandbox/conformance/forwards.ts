import type { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import type { WireRig } from './rig.ts'

export function forwardTests(rig: WireRig): void {
  describe('a forward', () => {
    /** No sandbox has its own ports here, so each test takes one that nobody else is likely to use. */
    let next = 20_000 + (process.pid % 20_000)
    const freePort = () => next++

    const perlServer = (port: number, body: string) => `perl -MIO::Socket::INET -e '
    $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => ${port}, Listen => 5, ReuseAddr => 1) or die;
    $| = 1; print "ready\\n"; $c = $s->accept; ${body}'`

    async function listening(command: string) {
      const started = await rig.wire().exec({ command, timeout: 30_000 })
      await new Promise((resolve) => started.stdout.once('data', resolve))
      return started
    }

    test('into the sandbox: bytes pass both ways, and each side may end first', async () => {
      const port = freePort()
      const started = await listening(
        perlServer(port, 'local $/; $in = <$c>; print $c "got ", length $in; close $c'),
      )
      const stream = await rig.wire().forwardIn(port)
      stream.end(Buffer.alloc(5_000_000, 'x'))
      expect((await buffer(stream)).toString()).toBe('got 5000000')
      expect(await started.exit).toMatchObject({ code: 0 })
      expect(stream.destroyed).toBe(true)
    })

    test('into the sandbox: a peer that closes does not lose what it said, nor hold up a writer', async () => {
      const port = freePort()
      await listening(perlServer(port, 'print $c "x" x 3_000_000; shutdown($c, 1); sleep 1; close $c'))
      const stream = await rig.wire().forwardIn(port)
      const written = new Promise((resolve) =>
        stream.write(Buffer.alloc(30_000_000), () => resolve('let go')),
      )
      await new Promise((resolve) => setTimeout(resolve, 300))
      expect((await buffer(stream)).length).toBe(3_000_000)
      expect(await written).toBe('let go')
    })

    test('into the sandbox: where nobody listens it says so', async () => {
      await expect(rig.wire().forwardIn(freePort())).rejects.toMatchObject({ code: 'not_found' })
    })

    const connect = (port: number, send: string) => ({
      command: `exec 3<>/dev/tcp/127.0.0.1/${port}; ${send}; cat <&3`,
      timeout: 20_000,
    })

    test('out of the sandbox: each connection becomes a stream', async () => {
      const port = freePort()
      await rig.wire().forwardOut(port, (stream) => {
        stream.once('data', (chunk: Buffer) => stream.end(`hello ${chunk.toString()}`))
      })
      const results = await Promise.all(
        Array.from({ length: 10 }, (_, i) => rig.wire().run(connect(port, `printf ${i} >&3`))),
      )
      expect(results.map((result) => result.stdout.toString())).toEqual(results.map((_, i) => `hello ${i}`))
    })

    test('out of the sandbox: much data, slowly read', async () => {
      const port = freePort()
      await rig.wire().forwardOut(port, (stream) => stream.end(Buffer.alloc(10_000_000, 'y')))
      const result = await rig.wire().run({
        command: `exec 3<>/dev/tcp/127.0.0.1/${port}; sleep 0.5; wc -c <&3`,
        timeout: 20_000,
      })
      expect(result.stdout.toString()).toBe('10000000\n')
    })

    test('out of the sandbox: a taken port is a conflict, and only the loopback is bound', async () => {
      const port = freePort()
      await rig.wire().forwardOut(port, (stream) => stream.destroy())
      await expect(rig.wire().forwardOut(port, (stream) => stream.destroy())).rejects.toMatchObject({
        code: 'conflict',
      })
      const { stdout } = await rig.wire().run({ command: 'cat /proc/net/tcp /proc/net/tcp6' })
      const hex = port.toString(16).toUpperCase().padStart(4, '0')
      const bound = stdout
        .toString()
        .split('\n')
        .map((line) => line.trim().split(/\s+/)[1] ?? '')
        .filter((address) => address.endsWith(`:${hex}`))
      expect(bound).toEqual([`0100007F:${hex}`])
    })

    test('out of the sandbox: streams that break, and owners that throw, break nothing else', async () => {
      const port = freePort()
      const streams: Duplex[] = []
      await rig.wire().forwardOut(port, (stream) => {
        streams.push(stream)
        if (streams.length === 1) throw new Error('an owner that throws')
        if (streams.length === 2) stream.destroy(new Error('an owner that gives up'))
        else stream.end('fine')
      })
      const first = await rig.wire().run(connect(port, ':'))
      expect(first).toMatchObject({ code: 0, stdout: Buffer.alloc(0) })
      expect(await rig.wire().run(connect(port, ':'))).toMatchObject({ code: 0 })
      expect((await rig.wire().run(connect(port, ':'))).stdout.toString()).toBe('fine')
      const before = streams.length
      await rig.wire().run({ command: `exec 3<>/dev/tcp/127.0.0.1/${port}; kill -9 $$` })
      await expect.poll(() => streams.length).toBe(before + 1)
      await expect.poll(() => streams.every((stream) => stream.destroyed)).toBe(true)
    })
  })
}
