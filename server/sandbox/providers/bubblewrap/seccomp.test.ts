import { describe, expect, it } from 'vitest'
import { type SeccompRule, sandboxRules, seccompProgram } from './seccomp.ts'
import { auditArch, type Machine, type SyscallName, syscallNumber } from './syscalls.ts'

interface Call {
  readonly arch: number
  readonly nr: number
  readonly args?: readonly bigint[]
}

/** The kernel's machine for the few operations that the program uses; every jump only goes forward. */
function evaluate(program: Buffer, call: Call): number {
  const data = Buffer.alloc(64)
  data.writeUInt32LE(call.nr >>> 0, 0)
  data.writeUInt32LE(call.arch >>> 0, 4)
  for (const [index, value] of (call.args ?? []).entries())
    data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + 8 * index)
  let accumulator = 0
  for (let at = 0; at < program.length / 8; at++) {
    const code = program.readUInt16LE(at * 8)
    const [jt, jf, k] = [program[at * 8 + 2] ?? 0, program[at * 8 + 3] ?? 0, program.readUInt32LE(at * 8 + 4)]
    if (code === 0x06) return k
    if (code === 0x20) accumulator = data.readUInt32LE(k)
    else if (code === 0x15) at += accumulator === k ? jt : jf
    else if (code === 0x35) at += accumulator >= k ? jt : jf
    else if (code === 0x45) at += (accumulator & k) !== 0 ? jt : jf
    else throw new Error(`unknown operation ${code}`)
  }
  throw new Error('the program ran off its end')
}

const allow = 0x7fff0000
const killProcess = 0x80000000
const errno = (number: number) => 0x00050000 | number
const refusal = { EPERM: errno(1), ENOSYS: errno(38), EPROTONOSUPPORT: errno(93), EAFNOSUPPORT: errno(97) }
const machines: Machine[] = ['x64', 'arm64']

const call = (machine: Machine, name: SyscallName, ...args: (number | bigint)[]): Call => ({
  arch: auditArch[machine],
  nr: syscallNumber(machine, name) ?? -1,
  args: args.map(BigInt),
})

/** Arguments with which the rule refuses its calls. */
function offending(rule: SeccompRule): bigint[] {
  const args = [0n, 0n, 0n, 0n]
  for (const { argument, when } of rule.tests) {
    if ('in' in when) args[argument] = BigInt(when.in.at(-1) ?? 0)
    else if ('anyBit' in when) args[argument] = BigInt((when.anyBit & -when.anyBit) >>> 0)
    else args[argument] = 9999n
  }
  return args
}

describe.each(machines)('the system call filter on %s', (machine) => {
  const program = seccompProgram(machine)

  it.each(sandboxRules.map((rule) => ({ name: rule.name, rule })))(
    'refuses $name, and only by that rule',
    ({ rule }) => {
      const without = seccompProgram(
        machine,
        sandboxRules.filter((other) => other !== rule),
      )
      const calls = rule.calls.filter((name) => syscallNumber(machine, name) !== null)
      for (const name of calls) {
        const attempt = call(machine, name, ...offending(rule))
        expect({ name, verdict: evaluate(program, attempt) }).toEqual({ name, verdict: refusal[rule.fails] })
        expect({ name, verdict: evaluate(without, attempt) }).toEqual({ name, verdict: allow })
      }
    },
  )

  it('looks at the low half of an argument, as the kernel does', () => {
    expect(evaluate(program, call(machine, 'ioctl', 0, 0x1_0000_5412n))).toBe(refusal.EPERM)
    expect(evaluate(program, call(machine, 'socket', 0xffff_ffff_0000_0028n))).toBe(refusal.EAFNOSUPPORT)
    expect(evaluate(program, call(machine, 'socket', 0x1_0000_0001n))).toBe(allow)
  })

  it('refuses each namespace flag', () => {
    for (const flag of [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]) {
      expect(evaluate(program, call(machine, 'clone', flag | 17))).toBe(refusal.EPERM)
      expect(evaluate(program, call(machine, 'unshare', flag))).toBe(refusal.EPERM)
    }
    expect(evaluate(program, call(machine, 'unshare', 0x80))).toBe(refusal.EPERM)
  })

  it('lets ordinary work through', () => {
    const forkFlags = 0x01200011
    const threadFlags = 0x3d0f00
    for (const allowed of [
      call(machine, 'socket', 1, 1, 0),
      call(machine, 'socket', 2, 1, 6),
      call(machine, 'socket', 10, 2, 17),
      call(machine, 'socket', 16, 3, 0),
      call(machine, 'socketpair', 1, 1, 0),
      call(machine, 'clone', forkFlags),
      call(machine, 'clone', threadFlags),
      call(machine, 'unshare', 0x400),
      call(machine, 'ioctl', 0, 0x5401),
      { arch: auditArch[machine], nr: 0 },
      { arch: auditArch[machine], nr: 500 },
    ])
      expect(evaluate(program, allowed)).toBe(allow)
  })

  it('kills a program of another architecture, whose numbers mean other calls', () => {
    const i386 = 0x40000003
    const other = auditArch[machine === 'x64' ? 'arm64' : 'x64']
    expect(evaluate(program, { arch: i386, nr: 1 })).toBe(killProcess)
    expect(evaluate(program, { arch: other, nr: 1 })).toBe(killProcess)
  })
})

describe('the system call filter', () => {
  it('refuses the x32 calls, which have numbers of their own', () => {
    const program = seccompProgram('x64')
    expect(evaluate(program, { arch: auditArch.x64, nr: 0x40000000 + 321 })).toBe(refusal.ENOSYS)
    expect(evaluate(program, { arch: auditArch.x64, nr: 0x40000000 })).toBe(refusal.ENOSYS)
  })
})
