import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { connectWire } from './connect.ts'
import { quote } from './quote.ts'
import { type RealSshd, realSshd } from './real-sshd.ts'
import type { Wire } from './wire.ts'

let server: RealSshd
let wire: Wire
let home: string
beforeAll(async () => {
  server = await realSshd()
  wire = await connectWire(server.open().stream, server)
}, 120_000)
afterAll(async () => {
  wire?.close()
  await server?.[Symbol.asyncDispose]()
})
let count = 0
beforeEach(() => {
  home = `${server.home}/t${count++}`
})

const sh = async (command: string) => (await wire.run({ command })).stdout.toString()
const odd = [
  'line\nbreak',
  '\x1b[31mred',
  '-rf',
  "it's $(id)",
  ' ',
  '名前 é',
  '*',
  '"\\',
  '\r\t\x07',
  'x'.repeat(255),
]

describe('files', () => {
  test('are written with the folders above them and read back', async () => {
    await wire.files.write(`${home}/a/b/c.txt`, 'hello é')
    expect((await wire.files.read(`${home}/a/b/c.txt`, 100)).toString()).toBe('hello é')
    expect(await wire.files.stat(`${home}/a/b/c.txt`)).toMatchObject({ kind: 'file', size: 8, mode: 0o644 })
    expect(await wire.files.stat(`${home}/a/b`)).toMatchObject({ kind: 'directory' })
  })

  test('of many packets pass whole', async () => {
    const big = Buffer.alloc(20_000_001, 'forge')
    await wire.files.write(`${home}/big`, big)
    expect((await wire.files.read(`${home}/big`, big.length)).equals(big)).toBe(true)
    await expect(wire.files.read(`${home}/big`, big.length - 1)).rejects.toMatchObject({ code: 'too_large' })
  })

  test('without a size, as those of /proc, are read to their end', async () => {
    expect((await wire.files.read('/proc/self/status', 100_000)).toString()).toContain('Name:')
    await expect(wire.files.read('/proc/self/status', 10)).rejects.toMatchObject({ code: 'too_large' })
  })

  test('keep their mode, or get the given one', async () => {
    await wire.files.write(`${home}/run`, 'one', 0o750)
    await wire.files.write(`${home}/run`, 'two')
    expect((await wire.files.stat(`${home}/run`)).mode).toBe(0o750)
    await wire.files.write(`${home}/run`, 'three', 0o600)
    expect((await wire.files.stat(`${home}/run`)).mode).toBe(0o600)
  })

  test('appear whole: a reader sees the old or the new', async () => {
    await wire.files.write(`${home}/whole`, 'a'.repeat(1_000_000))
    const watch = wire.run({
      command: `cd ${home}; for i in $(seq 100); do wc -c <whole; cut -c1 whole | sort -u; done | sort | uniq -c | wc -l`,
    })
    await wire.files.write(`${home}/whole`, 'a'.repeat(1_000_000))
    expect(Number((await watch).stdout.toString())).toBe(2)
    expect(await sh(`ls -A ${home}`)).toBe('whole\n')
  })

  test('are written through a symlink, and stat shows the link', async () => {
    await wire.files.write(`${home}/real`, 'old', 0o700)
    await sh(`ln -s real ${home}/link; ln -s missing ${home}/dangling`)
    await wire.files.write(`${home}/link`, 'new')
    expect(await sh(`cat ${home}/real`)).toBe('new')
    expect(await wire.files.stat(`${home}/link`)).toMatchObject({ kind: 'symlink' })
    expect((await wire.files.stat(`${home}/real`)).mode).toBe(0o700)
    expect(await wire.files.stat(`${home}/dangling`)).toMatchObject({ kind: 'symlink' })
  })

  test.each(odd)('may be called %j', async (name) => {
    await wire.files.write(`${home}/${name}`, name)
    expect((await wire.files.list(home)).map((entry) => entry.name)).toEqual([name])
    expect(await sh(quote(['cat', `${home}/${name}`]))).toBe(name)
    await wire.files.remove(`${home}/${name}`)
    expect(await wire.files.list(home)).toEqual([])
  })

  test('are listed with what they are', async () => {
    await sh(`mkdir -p ${home}/dir; cd ${home}; echo 12345 >file; ln -s nowhere link; mkfifo fifo`)
    const found = await wire.files.list(home)
    expect(Object.fromEntries(found.map(({ name, stat }) => [name, stat.kind]))).toEqual({
      dir: 'directory',
      file: 'file',
      link: 'symlink',
      fifo: 'other',
    })
    const file = found.find(({ name }) => name === 'file')
    expect(file?.stat.size).toBe(6)
    expect(Math.abs((file?.stat.mtime ?? 0) - Date.now())).toBeLessThan(60_000)
  })

  test('are removed with all that is in them, but not what a link in them leads to', async () => {
    await sh(
      `mkdir -p ${home}/dir/deep ${home}/other; echo x >${home}/other/kept; ln -s ../../other ${home}/dir/deep/link`,
    )
    await wire.files.remove(`${home}/dir`)
    expect(await sh(`ls -A ${home}; ls ${home}/other`)).toBe('other\nkept\n')
  })
})

describe('errors say which they are', () => {
  const code = (expected: string) => ({ code: expected })

  test('not_found', async () => {
    for (const path of [`${home}/none`, '/dev/null/below'])
      for (const act of [
        wire.files.read(path, 10),
        wire.files.stat(path),
        wire.files.list(path),
        wire.files.remove(path),
      ])
        await expect(act).rejects.toMatchObject(code('not_found'))
  })

  test('denied', async () => {
    await sh(`mkdir -p ${home}/shut; echo x >${home}/shut/file; chmod 0 ${home}/shut`)
    for (const act of [
      wire.files.read(`${home}/shut/file`, 10),
      wire.files.list(`${home}/shut`),
      wire.files.write(`${home}/shut/new`, 'x'),
      wire.files.write('/etc/forge-test', 'x'),
      wire.files.remove('/etc/passwd'),
    ])
      await expect(act).rejects.toMatchObject(code('denied'))
  })

  test('conflict', async () => {
    await sh(`mkdir -p ${home}/dir; echo x >${home}/file; mkfifo ${home}/fifo`)
    for (const act of [
      wire.files.read(`${home}/dir`, 10),
      wire.files.read(`${home}/fifo`, 10),
      wire.files.read('/dev/zero', 10),
      wire.files.list(`${home}/file`),
      wire.files.write(`${home}/dir`, 'x'),
    ])
      await expect(act).rejects.toMatchObject(code('conflict'))
    await expect(wire.files.write(`${home}/file/below`, 'x')).rejects.toMatchObject(code('not_found'))
    expect(await sh(`ls -A ${home}`)).toBe('dir\nfifo\nfile\n')
  })

  test('disk_full', async ({ skip }) => {
    const small = server.smallDisk
    if (small === null) return skip('only root may mount a small disk')
    await wire.files.write(`${small}/fits`, Buffer.alloc(300_000))
    await expect(wire.files.write(`${small}/fits`, Buffer.alloc(2_000_000))).rejects.toMatchObject(
      code('disk_full'),
    )
    expect((await wire.files.stat(`${small}/fits`)).size).toBe(300_000)
    await sh(`cd ${small}; i=0; while : >f$i; do i=$((i+1)); done; head -c 2000000 /dev/zero >rest`)
    await expect(wire.files.write(`${small}/more`, 'x')).rejects.toMatchObject(code('disk_full'))
    expect(await sh(`ls -A ${small} | grep -c forge`)).toBe('0\n')
  })

  test('invalid_input', async () => {
    for (const path of ['relative', '', '/nul\0', `${server.home}/${'x'.repeat(300)}`])
      await expect(wire.files.write(path, 'x')).rejects.toMatchObject(code('invalid_input'))
  })
})
