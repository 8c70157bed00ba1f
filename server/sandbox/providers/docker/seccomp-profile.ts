import { allowedCalls } from './allowed-calls.ts'

/** A test of one argument, as the engine's profiles write it: for MASKED_EQ `value` is the mask. */
interface ArgumentTest {
  readonly index: number
  readonly value: number
  readonly valueTwo: number
  readonly op: 'SCMP_CMP_EQ' | 'SCMP_CMP_MASKED_EQ'
}

interface Rule {
  readonly names: readonly string[]
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO'
  readonly errnoRet?: number
  readonly args?: readonly ArgumentTest[]
}

export interface SeccompProfile {
  readonly defaultAction: 'SCMP_ACT_ERRNO'
  readonly archMap: readonly { readonly architecture: string; readonly subArchitectures: readonly [] }[]
  readonly syscalls: readonly Rule[]
}

const ENOSYS = 38
const family = { unix: 1, inet: 2, inet6: 10, netlink: 16 }
/** Any, ICMP, TCP, UDP, ICMPv6, MPTCP: others make the host load a module. */
const internetProtocols = [0, 1, 6, 17, 58, 262]
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const namespaceFlags = 0x7e020000
const CLONE_NEWTIME = 0x80
/** Both type into a terminal. */
const injections = { TIOCSTI: 0x5412, TIOCLINUX: 0x541c }
/** PER_LINUX and PER_LINUX32, each with and without UNAME26, and the question. */
const personalities = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff]

const equal = (index: number, value: number): ArgumentTest => ({
  index,
  value,
  valueTwo: 0,
  op: 'SCMP_CMP_EQ',
})
const masked = (index: number, mask: number, value: number): ArgumentTest => ({
  index,
  value: mask >>> 0,
  valueTwo: value >>> 0,
  op: 'SCMP_CMP_MASKED_EQ',
})
const allow = (names: readonly string[], args?: readonly ArgumentTest[]): Rule => ({
  names,
  action: 'SCMP_ACT_ALLOW',
  ...(args === undefined ? {} : { args }),
})

/**
 * Masks and values of which each number of 32 bits but `forbidden` fits at least one. An inequality would look
 * at all 64 bits of the argument, of which the kernel uses 32.
 */
export function allBut(forbidden: readonly number[], bit = 31, mask = 0): { mask: number; value: number }[] {
  const [first] = forbidden
  if (first === undefined || bit < 0) return []
  const flag = (1 << bit) >>> 0
  const wider = (mask | flag) >>> 0
  const set = forbidden.filter((number) => (number & flag) !== 0)
  const unset = forbidden.filter((number) => (number & flag) === 0)
  const side = (members: readonly number[], isSet: boolean) =>
    members.length > 0
      ? allBut(members, bit - 1, wider)
      : [{ mask: wider, value: ((first & mask) | (isSet ? flag : 0)) >>> 0 }]
  return [...side(set, true), ...side(unset, false)]
}

const argumentRules: readonly Rule[] = [
  // AF_VSOCK above all is missing: it reaches the hypervisor from every network namespace.
  allow(['socket'], [equal(0, family.unix)]),
  // getifaddrs, and so os.networkInterfaces, needs NETLINK_ROUTE; nothing needs the others.
  allow(['socket'], [equal(0, family.netlink), equal(2, 0)]),
  ...[family.inet, family.inet6].flatMap((each) =>
    internetProtocols.map((protocol) => allow(['socket'], [equal(0, each), equal(2, protocol)])),
  ),
  allow(['socketpair'], [equal(0, family.unix)]),
  allow(['clone'], [masked(0, namespaceFlags, 0)]),
  allow(['unshare'], [masked(0, namespaceFlags | CLONE_NEWTIME, 0)]),
  ...personalities.map((value) => allow(['personality'], [equal(0, value)])),
  ...allBut(Object.values(injections)).map(({ mask, value }) => allow(['ioctl'], [masked(1, mask, value)])),
]

/** Programs take what fails so for absent and fall back quietly. The flags of clone3 lie in memory, where a filter cannot look. */
const absent = [
  'clone3',
  'keyctl',
  'add_key',
  'request_key',
  'bpf',
  'perf_event_open',
  'io_uring_setup',
  'io_uring_enter',
  'io_uring_register',
  'userfaultfd',
]

const architectures: Record<string, string> = {
  x86_64: 'SCMP_ARCH_X86_64',
  aarch64: 'SCMP_ARCH_AARCH64',
}

/** Like the engine's own default a list of what is allowed, and tighter. Null for a machine that it does not know. */
export function seccompProfile(machine: string): SeccompProfile | null {
  const architecture = architectures[machine]
  if (architecture === undefined) return null
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    archMap: [{ architecture, subArchitectures: [] }],
    syscalls: [
      allow(allowedCalls),
      ...argumentRules,
      { names: absent, action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
    ],
  }
}
