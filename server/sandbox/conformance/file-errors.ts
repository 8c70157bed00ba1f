import { beforeEach, describe, expect, test } from 'vitest'
import { skipBecause, text, type WireRig } from './rig.ts'

/** Begun together and looked at one by one: none may count as unhandled meanwhile. */
function begun<T>(acts: readonly Promise<T>[]): readonly Promise<T>[] {
  for (const act of acts) act.catch(() => undefined)
  return acts
}

export function fileErrorTests(rig: WireRig): void {
  let count = 0
  let dir = ''
  beforeEach(() => {
    dir = `${rig.home()}/errors-${count++}`
  })

  describe('errors say which they are', () => {
    const code = (expected: string) => ({ code: expected })

    test('not_found', async () => {
      for (const path of [`${dir}/none`, '/dev/null/below'])
        for (const act of begun<unknown>([
          rig.wire().files.read(path, 10),
          rig.wire().files.stat(path),
          rig.wire().files.list(path),
          rig.wire().files.remove(path),
        ]))
          await expect(act).rejects.toMatchObject(code('not_found'))
    })

    test('denied', async () => {
      await text(rig, `mkdir -p ${dir}/shut; echo x >${dir}/shut/file; chmod 0 ${dir}/shut`)
      for (const act of begun<unknown>([
        rig.wire().files.read(`${dir}/shut/file`, 10),
        rig.wire().files.list(`${dir}/shut`),
        rig.wire().files.write(`${dir}/shut/new`, 'x'),
        rig.wire().files.write('/etc/forge-test', 'x'),
        rig.wire().files.remove('/etc/passwd'),
      ]))
        await expect(act).rejects.toMatchObject(code('denied'))
    })

    test('conflict', async () => {
      await text(rig, `mkdir -p ${dir}/dir; echo x >${dir}/file; mkfifo ${dir}/fifo`)
      for (const act of begun<unknown>([
        rig.wire().files.read(`${dir}/dir`, 10),
        rig.wire().files.read(`${dir}/fifo`, 10),
        rig.wire().files.read('/dev/zero', 10),
        rig.wire().files.list(`${dir}/file`),
        rig.wire().files.write(`${dir}/dir`, 'x'),
      ]))
        await expect(act).rejects.toMatchObject(code('conflict'))
      await expect(rig.wire().files.write(`${dir}/file/below`, 'x')).rejects.toMatchObject(code('not_found'))
      expect(await text(rig, `ls -A ${dir}`)).toBe('dir\nfifo\nfile\n')
    })

    test('disk_full', async ({ skip }) => {
      const disk = rig.smallDisk()
      if ('none' in disk) return skipBecause(disk.none, skip)
      const small = disk.path
      await rig.wire().files.write(`${small}/fits`, Buffer.alloc(300_000))
      await expect(rig.wire().files.write(`${small}/fits`, Buffer.alloc(100_000_000))).rejects.toMatchObject(
        code('disk_full'),
      )
      expect((await rig.wire().files.stat(`${small}/fits`)).size).toBe(300_000)
      await text(
        rig,
        `cd ${small}; i=0; while : >f$i; do i=$((i+1)); done; head -c 100000000 /dev/zero >rest`,
      )
      await expect(rig.wire().files.write(`${small}/more`, 'x')).rejects.toMatchObject(code('disk_full'))
      expect(await text(rig, `ls -A ${small} | grep -c forge`)).toBe('0\n')
      await text(rig, `rm -f ${small}/f* ${small}/rest`)
    })

    test('invalid_input', async () => {
      for (const path of ['relative', '', '/nul\0', `${rig.home()}/${'x'.repeat(300)}`])
        await expect(rig.wire().files.write(path, 'x')).rejects.toMatchObject(code('invalid_input'))
    })
  })
}
