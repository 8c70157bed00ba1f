import { beforeEach, describe, expect, test } from 'vitest'
import { quote } from '#core/sandbox/quote.ts'
import { text, type WireRig } from './rig.ts'

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

export function fileTests(rig: WireRig): void {
  let count = 0
  let dir = ''
  beforeEach(() => {
    dir = `${rig.home()}/files-${count++}`
  })

  describe('files', () => {
    test('are written with the folders above them and read back', async () => {
      await rig.wire().files.write(`${dir}/a/b/c.txt`, 'hello é')
      expect((await rig.wire().files.read(`${dir}/a/b/c.txt`, 100)).toString()).toBe('hello é')
      expect(await rig.wire().files.stat(`${dir}/a/b/c.txt`)).toMatchObject({
        kind: 'file',
        size: 8,
        mode: 0o644,
      })
      expect(await rig.wire().files.stat(`${dir}/a/b`)).toMatchObject({ kind: 'directory' })
    })

    test('of many packets pass whole', async () => {
      const big = Buffer.alloc(20_000_001, 'forge')
      await rig.wire().files.write(`${dir}/big`, big)
      expect((await rig.wire().files.read(`${dir}/big`, big.length)).equals(big)).toBe(true)
      await expect(rig.wire().files.read(`${dir}/big`, big.length - 1)).rejects.toMatchObject({
        code: 'too_large',
      })
    })

    test('without a size, as those of /proc, are read to their end', async () => {
      expect((await rig.wire().files.read('/proc/self/status', 100_000)).toString()).toContain('Name:')
      await expect(rig.wire().files.read('/proc/self/status', 10)).rejects.toMatchObject({
        code: 'too_large',
      })
    })

    test('keep their mode, or get the given one', async () => {
      await rig.wire().files.write(`${dir}/run`, 'one', 0o750)
      await rig.wire().files.write(`${dir}/run`, 'two')
      expect((await rig.wire().files.stat(`${dir}/run`)).mode).toBe(0o750)
      await rig.wire().files.write(`${dir}/run`, 'three', 0o600)
      expect((await rig.wire().files.stat(`${dir}/run`)).mode).toBe(0o600)
    })

    test('appear whole: a reader sees the old or the new', async () => {
      await rig.wire().files.write(`${dir}/whole`, 'a'.repeat(1_000_000))
      const watch = rig.wire().run({
        command: `cd ${dir}; for i in $(seq 100); do wc -c <whole; cut -c1 whole | sort -u; done | sort | uniq -c | wc -l`,
      })
      await rig.wire().files.write(`${dir}/whole`, 'a'.repeat(1_000_000))
      expect(Number((await watch).stdout.toString())).toBe(2)
      expect(await text(rig, `ls -A ${dir}`)).toBe('whole\n')
    })

    test('are written through a symlink, and stat shows the link', async () => {
      await rig.wire().files.write(`${dir}/real`, 'old', 0o700)
      await text(rig, `ln -s real ${dir}/link; ln -s missing ${dir}/dangling`)
      await rig.wire().files.write(`${dir}/link`, 'new')
      expect(await text(rig, `cat ${dir}/real`)).toBe('new')
      expect(await rig.wire().files.stat(`${dir}/link`)).toMatchObject({ kind: 'symlink' })
      expect((await rig.wire().files.stat(`${dir}/real`)).mode).toBe(0o700)
      expect(await rig.wire().files.stat(`${dir}/dangling`)).toMatchObject({ kind: 'symlink' })
    })

    test.each(odd)('may be called %j', async (name) => {
      await rig.wire().files.write(`${dir}/${name}`, name)
      expect((await rig.wire().files.list(dir)).map((entry) => entry.name)).toEqual([name])
      expect(await text(rig, quote(['cat', `${dir}/${name}`]))).toBe(name)
      await rig.wire().files.remove(`${dir}/${name}`)
      expect(await rig.wire().files.list(dir)).toEqual([])
    })

    test('are listed with what they are', async () => {
      await text(rig, `mkdir -p ${dir}/dir; cd ${dir}; echo 12345 >file; ln -s nowhere link; mkfifo fifo`)
      const found = await rig.wire().files.list(dir)
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
      await text(
        rig,
        `mkdir -p ${dir}/dir/deep ${dir}/other; echo x >${dir}/other/kept; ln -s ../../other ${dir}/dir/deep/link`,
      )
      await rig.wire().files.remove(`${dir}/dir`)
      expect(await text(rig, `ls -A ${dir}; ls ${dir}/other`)).toBe('other\nkept\n')
    })
  })
}
