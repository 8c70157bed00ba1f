import { auditArch, type Machine, type SyscallName, syscallNumber } from './syscalls.ts'

const errno = { EPERM: 1, ENOSYS: 38, EPROTONOSUPPORT: 93, EAFNOSUPPORT: 97 } as const
export type Errno = keyof typeof errno

/** Looks at the low 32 bits of one argument, which is all that the kernel uses of these. */
export interface ArgumentTest {
  readonly argument: 0 | 1 | 2 | 3
  /** Holds when the argument is (not) one of these, or has any of these bits. */
  readonly when:
    | { readonly in: readonly number[] }
    | { readonly notIn: readonly number[] }
    | { readonly anyBit: number }
}

/** The call fails with `fails` when all of `tests` hold. */
export interface SeccompRule {
  readonly name: string
  readonly calls: readonly SyscallName[]
  readonly tests: readonly ArgumentTest[]
  readonly fails: Errno
}

const family = { unix: 1, inet: 2, inet6: 10, netlink: 16 }
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const namespaceFlags = 0x7e020000
const CLONE_NEWTIME = 0x80
const ioctls = { TIOCSTI: 0x5412, TIOCLINUX: 0x541c }

const always = (name: string, fails: Errno, calls: readonly SyscallName[]): SeccompRule => ({
  name,
  calls,
  tests: [],
  fails,
})

/**
 * What namespaces and a lack of capabilities do not take away. A subsystem that the guest should take for
 * absent fails with ENOSYS, because programs then fall back quietly.
 */
export const sandboxRules: readonly SeccompRule[] = [
  {
    // AF_VSOCK above all: it reaches the hypervisor from every network namespace.
    name: 'socket families',
    calls: ['socket'],
    tests: [{ argument: 0, when: { notIn: [family.unix, family.inet, family.inet6, family.netlink] } }],
    fails: 'EAFNOSUPPORT',
  },
  {
    name: 'socket pair families',
    calls: ['socketpair'],
    tests: [{ argument: 0, when: { notIn: [family.unix] } }],
    fails: 'EAFNOSUPPORT',
  },
  {
    // getifaddrs, and so os.networkInterfaces, needs NETLINK_ROUTE; nothing needs the others.
    name: 'netlink protocols',
    calls: ['socket'],
    tests: [
      { argument: 0, when: { in: [family.netlink] } },
      { argument: 2, when: { notIn: [0] } },
    ],
    fails: 'EPROTONOSUPPORT',
  },
  {
    // ICMP, TCP, UDP, ICMPv6, MPTCP: others make the host load a module.
    name: 'internet protocols',
    calls: ['socket'],
    tests: [
      { argument: 0, when: { in: [family.inet, family.inet6] } },
      { argument: 2, when: { notIn: [0, 1, 6, 17, 58, 262] } },
    ],
    fails: 'EPROTONOSUPPORT',
  },
  {
    name: 'new namespaces by clone',
    calls: ['clone'],
    tests: [{ argument: 0, when: { anyBit: namespaceFlags } }],
    fails: 'EPERM',
  },
  {
    name: 'new namespaces by unshare',
    calls: ['unshare'],
    tests: [{ argument: 0, when: { anyBit: namespaceFlags | CLONE_NEWTIME } }],
    fails: 'EPERM',
  },
  // Its flags lie in memory, where a filter cannot look; the C library then takes clone.
  always('clone3', 'ENOSYS', ['clone3']),
  always('setns', 'EPERM', ['setns']),
  {
    name: 'terminal injection',
    calls: ['ioctl'],
    tests: [{ argument: 1, when: { in: [ioctls.TIOCSTI, ioctls.TIOCLINUX] } }],
    fails: 'EPERM',
  },
  always('kernel keyring', 'ENOSYS', ['keyctl', 'add_key', 'request_key']),
  always('bpf', 'ENOSYS', ['bpf']),
  always('perf', 'ENOSYS', ['perf_event_open']),
  always('io_uring', 'ENOSYS', ['io_uring_setup', 'io_uring_enter', 'io_uring_register']),
  always('userfaultfd', 'ENOSYS', ['userfaultfd']),
  always('mounts', 'EPERM', [
    'mount',
    'umount2',
    'pivot_root',
    'move_mount',
    'open_tree',
    'fsopen',
    'fsconfig',
    'fsmount',
    'fspick',
    'mount_setattr',
  ]),
  always('kernel code', 'EPERM', [
    'kexec_load',
    'kexec_file_load',
    'init_module',
    'finit_module',
    'delete_module',
  ]),
  always('file handles', 'EPERM', ['open_by_handle_at']),
  always('kernel log', 'EPERM', ['syslog']),
  always('host administration', 'EPERM', [
    'acct',
    'swapon',
    'swapoff',
    'reboot',
    'settimeofday',
    'clock_settime',
    'sethostname',
    'setdomainname',
    'quotactl',
    'quotactl_fd',
    'lookup_dcookie',
    'iopl',
    'ioperm',
    'modify_ldt',
  ]),
]

/** One instruction of classic BPF, linux/filter.h: operation, jump if true, jump if false, operand. */
type Instruction = readonly [code: number, jt: number, jf: number, k: number]

const op = { load: 0x20, jumpEqual: 0x15, jumpAtLeast: 0x35, jumpAnyBit: 0x45, return: 0x06 }
/** Offsets in struct seccomp_data; both machines are little-endian, so the low half of an argument comes first. */
const offset = { nr: 0, arch: 4, argument: (index: number) => 16 + 8 * index }
const verdict = { allow: 0x7fff0000, killProcess: 0x80000000, errno: (number: number) => 0x00050000 | number }
/** Calls of the x32 ABI have this bit and numbers of their own. */
const x32Bit = 0x40000000

const refuse = (name: Errno): Instruction => [op.return, 0, 0, verdict.errno(errno[name])]

/** Instructions that fall through when the test holds and otherwise jump `beyond` instructions past their end. */
function testCode(test: ArgumentTest, beyond: number): Instruction[] {
  const load: Instruction = [op.load, 0, 0, offset.argument(test.argument)]
  const { when } = test
  if ('anyBit' in when) return [load, [op.jumpAnyBit, 0, beyond, when.anyBit]]
  const values = 'in' in when ? when.in : when.notIn
  const jumps = values.map((value, index): Instruction => {
    const left = values.length - 1 - index
    if ('notIn' in when) return [op.jumpEqual, left + beyond, 0, value]
    return [op.jumpEqual, left, left === 0 ? beyond : 0, value]
  })
  return [load, ...jumps]
}

/** For one call: skips itself unless it is that call and all tests hold; the accumulator holds the number before and after. */
function callCode(rule: SeccompRule, nr: number): Instruction[] {
  const reload: Instruction = [op.load, 0, 0, offset.nr]
  let code: Instruction[] = [refuse(rule.fails)]
  for (const test of rule.tests.toReversed()) code = [...testCode(test, code.length), ...code]
  // Only what has looked at an argument must load the number again.
  const whole = rule.tests.length === 0 ? code : [...code, reload]
  return [[op.jumpEqual, 0, whole.length, nr], ...whole]
}

/** The filter as `bwrap --seccomp` reads it: an array of struct sock_filter. */
export function seccompProgram(machine: Machine, rules: readonly SeccompRule[] = sandboxRules): Buffer {
  const code: Instruction[] = [
    [op.load, 0, 0, offset.arch],
    [op.jumpEqual, 1, 0, auditArch[machine]],
    [op.return, 0, 0, verdict.killProcess],
    [op.load, 0, 0, offset.nr],
  ]
  if (machine === 'x64') code.push([op.jumpAtLeast, 0, 1, x32Bit], refuse('ENOSYS'))
  for (const rule of rules)
    for (const name of rule.calls) {
      const nr = syscallNumber(machine, name)
      if (nr !== null) code.push(...callCode(rule, nr))
    }
  code.push([op.return, 0, 0, verdict.allow])
  const bytes = Buffer.alloc(code.length * 8)
  code.forEach(([operation, jt, jf, k], index) => {
    bytes.writeUInt16LE(operation, index * 8)
    bytes.writeUInt8(jt, index * 8 + 2)
    bytes.writeUInt8(jf, index * 8 + 3)
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4)
  })
  return bytes
}
