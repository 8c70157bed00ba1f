import { expect, test } from 'vitest'
import { allBut, seccompProfile } from './seccomp-profile.ts'

const fits = (rules: readonly { mask: number; value: number }[], number: number): boolean =>
  rules.some(({ mask, value }) => (number & mask) >>> 0 === value)

test.for([[[0x5412, 0x541c]], [[0]], [[0xffffffff]], [[1, 2, 3, 0x80000000]]] as const)(
  'masks fit every number but %j',
  ([forbidden]) => {
    const rules = allBut(forbidden)
    for (const number of forbidden) expect([number, fits(rules, number)]).toEqual([number, false])
    const near = forbidden.flatMap((number) =>
      Array.from({ length: 32 }, (_, bit) => (number ^ (1 << bit)) >>> 0),
    )
    const others = [...near, 0x5401, 0x5413, 0x541b, 0x80045430, 12345].filter(
      (number) => !(forbidden as readonly number[]).includes(number),
    )
    for (const number of others) expect([number, fits(rules, number)]).toEqual([number, true])
  },
)

test('a machine without a table has no profile, so that the engine takes its own', () => {
  expect(seccompProfile('x86_64')?.archMap).toEqual([
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: [] },
  ])
  expect(seccompProfile('aarch64')).not.toBeNull()
  expect(seccompProfile('riscv64')).toBeNull()
})

test('what is not named is refused', () => {
  const profile = seccompProfile('x86_64')
  expect(profile?.defaultAction).toBe('SCMP_ACT_ERRNO')
  const allowed = new Set(
    profile?.syscalls
      .filter((rule) => rule.action === 'SCMP_ACT_ALLOW' && rule.args === undefined)
      .flatMap((rule) => rule.names),
  )
  for (const name of ['bpf', 'mount', 'setns', 'socket', 'clone', 'clone3', 'ioctl', 'keyctl', 'chroot'])
    expect([name, allowed.has(name)]).toEqual([name, false])
  expect(allowed.has('openat')).toBe(true)
})
