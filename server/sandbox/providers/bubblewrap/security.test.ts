import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isAlive, type ProcessMark } from './processes.ts'
import { sandboxRules } from './seccomp.ts'
import { type Machine, type SyscallName, syscallNumber } from './syscalls.ts'
import { asRoot, serverUid, type TestSandbox, type TestWorld, testWorld } from './test-world.ts'
import { defaultUidRange } from './uids.ts'

let world: TestWorld
let one: TestSandbox
let two: TestSandbox
beforeAll(async () => {
  world = await testWorld()
  one = await world.start()
  two = await world.start()
})
afterAll(() => world?.[Symbol.asyncDispose]())

const markOf = (sandbox: TestSandbox): ProcessMark => {
  const { pid, start } = sandbox.handle
  if (typeof pid !== 'number' || typeof start !== 'string') throw new Error('not a handle of this provider')
  return { pid, start }
}

/** `status` of a process as the host sees it. */
const hostStatus = async (sandbox: TestSandbox, field: string): Promise<string[]> => {
  const status = await readFile(`/proc/${markOf(sandbox).pid}/status`, 'utf8')
  return new RegExp(`^${field}:(.*)$`, 'm').exec(status)?.[1]?.trim().split(/\s+/).filter(Boolean) ?? []
}

describe('who it is on the host', () => {
  it('is never root', async () => {
    for (const sandbox of [one, two]) {
      const uids = await hostStatus(sandbox, 'Uid')
      expect(uids).toHaveLength(4)
      expect(uids).not.toContain('0')
    }
  })

  it.runIf(asRoot)('has a uid and group of its own, and no other group (the server is root)', async () => {
    const [first, second] = await Promise.all([hostStatus(one, 'Uid'), hostStatus(two, 'Uid')])
    expect(new Set(first).size).toBe(1)
    expect(Number(first[0])).toBeGreaterThanOrEqual(defaultUidRange.first)
    expect(first).not.toEqual(second)
    expect(await hostStatus(one, 'Gid')).toEqual(first)
    expect(await hostStatus(one, 'Groups')).toEqual([first[0]])
  })

  it.runIf(asRoot)('shares its uid with nothing that is not in it (the server is root)', async () => {
    const [uid] = await hostStatus(one, 'Uid')
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
      if (!status.includes(`\t${uid}\t`)) continue
      const marked = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes(one.id)
      const inside = /^NSpid:.*\t.*\t/m.test(status) || /^NSpid:\t\d+\t\d+$/m.test(status)
      expect(marked || inside).toBe(true)
    }
  })

  it('has no capability, cannot gain one, and is filtered', async () => {
    const status = await one.text('cat /proc/self/status')
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
      expect(status).toContain(`Cap${set}:\t0000000000000000`)
    expect(status).toContain('NoNewPrivs:\t1')
    expect(status).toContain('Seccomp:\t2')
    expect(await one.text('id -u; id -un')).toBe('1000\nforge')
  })

  it('keeps its folder to the server', async () => {
    for (const dir of [
      path.join(world.stateDir, 'sandboxes'),
      path.join(world.stateDir, 'sandboxes', one.id),
    ]) {
      const found = await stat(dir)
      expect({ mode: found.mode & 0o777, uid: found.uid }).toEqual({ mode: 0o700, uid: serverUid })
    }
  })
})

describe('the kernel’s knobs', () => {
  it('mounts the writable parts of /proc read-only', async () => {
    const mounts = (await one.text('cat /proc/mounts')).split('\n').map((line) => line.split(' '))
    const optionsOf = (point: string) => mounts.find((mount) => mount[1] === point)?.[3]?.split(',') ?? []
    for (const name of ['sys', 'irq', 'bus', 'sysrq-trigger', 'fs', 'acpi']) {
      const there = await one.text(`test -e /proc/${name} && echo yes || echo no`)
      if (there === 'yes')
        expect([name, optionsOf(`/proc/${name}`)]).toEqual([name, expect.arrayContaining(['ro'])])
    }
  })

  it('cannot write core_pattern', async () => {
    const before = await readFile('/proc/sys/kernel/core_pattern', 'utf8')
    expect(await one.text('echo "|/work/evil" > /proc/sys/kernel/core_pattern')).toMatch(
      /Read-only file system|Permission denied/,
    )
    expect(await readFile('/proc/sys/kernel/core_pattern', 'utf8')).toBe(before)
  })

  it('shows no device but the harmless ones, and no sysfs', async () => {
    const devices = await one.text('find /dev -type b -o -type c | sort')
    const known = ['console', 'full', 'null', 'ptmx', 'pts/ptmx', 'random', 'tty', 'urandom', 'zero']
    expect(devices.split('\n').filter((name) => !known.includes(name.replace('/dev/', '')))).toEqual(
      devices.split('\n').filter((name) => /^\/dev\/pts\/\d+$/.test(name)),
    )
    expect(await one.text('ls /sys 2>/dev/null | wc -l')).toBe('0')
  })
})

const machine: Machine = process.arch === 'arm64' ? 'arm64' : 'x64'
const nr = (name: SyscallName) => syscallNumber(machine, name) ?? -1
/** Makes a system call and prints its errno, 0 when it worked. A child that it makes ends at once. */
const attempt = (name: SyscallName, ...args: (string | number)[]) =>
  `my $r = syscall(${[nr(name), ...args].join(', ')}); my $e = $r == -1 ? $!+0 : 0; if ('${name}' eq 'clone' && $r == 0) { exec '/bin/true' } print $e;`

const errno = { EPERM: '1', ENOSYS: '38', EPROTONOSUPPORT: '93', EAFNOSUPPORT: '97' }
const CLONE_NEWUSER = 0x10000000

/** One call for each rule. Without its rule it must go otherwise, which shows that nothing else stops it. */
const probes: Record<string, string> = {
  'socket families': attempt('socket', 17, 3, 0),
  'socket pair families': `my $pair = "\\0" x 8; ${attempt('socketpair', 2, 1, 0, '$pair')}`,
  'netlink protocols': attempt('socket', 16, 3, 15),
  'internet protocols': attempt('socket', 2, 3, 2),
  'new namespaces by clone': attempt('clone', CLONE_NEWUSER | 17, 0, 0, 0, 0),
  'new namespaces by unshare': attempt('unshare', CLONE_NEWUSER),
  clone3: attempt('clone3', 0, 0),
  setns: attempt('setns', -1, 0),
  'terminal injection': `open my $n, '<', '/dev/null'; ${attempt('ioctl', 'fileno($n)', '0x100005412', 0)}`,
  'kernel keyring': attempt('keyctl', 0, -3, 0),
  bpf: attempt('bpf', 0, 0, 0),
  perf: attempt('perf_event_open', 0, 0, -1, -1, 0),
  io_uring: attempt('io_uring_setup', 0, 0),
  userfaultfd: attempt('userfaultfd', 0),
  mounts: attempt('mount', 0, 0, 0, 0, 0),
}

/** The kernel refuses these to a process without capabilities before it looks at anything; the filter is a second wall. */
const refusedTwice = ['kernel code', 'file handles', 'kernel log', 'host administration']

describe('the system call filter', () => {
  it('has a probe for every rule', () => {
    const names = sandboxRules.map((rule) => rule.name)
    expect([...Object.keys(probes), ...refusedTwice].sort()).toEqual([...names].sort())
  })

  it.each(sandboxRules.filter((rule) => rule.name in probes).map((rule) => ({ name: rule.name, rule })))(
    'is what stops: $name',
    async ({ name, rule }) => {
      const probe = probes[name] ?? ''
      expect(await one.perl(probe)).toBe(errno[rule.fails])
      await using open = await testWorld({ seccompRules: sandboxRules.filter((other) => other !== rule) })
      expect(await (await open.start()).perl(probe)).not.toBe(errno[rule.fails])
    },
  )

  it('refuses the hypervisor’s sockets', async () => {
    expect(await one.perl(attempt('socket', 40, 1, 0))).toBe(errno.EAFNOSUPPORT)
  })

  it('refuses a user namespace by the usual tool', async () => {
    expect(await one.text('unshare --user true')).toContain('Operation not permitted')
  })

  it('refuses the kernel’s log and administration', async () => {
    for (const name of ['syslog', 'sethostname', 'init_module', 'open_by_handle_at', 'reboot'] as const)
      expect(await one.perl(attempt(name, 0, 0, 0))).toBe(errno.EPERM)
  })
})

describe('what it sees of the host', () => {
  it('has its own root, with nothing of the host’s homes, state or sockets', async () => {
    const top = (await one.text('ls -A /')).split('\n')
    const known = [
      'bin',
      'dev',
      'etc',
      'home',
      'lib',
      'lib32',
      'lib64',
      'libx32',
      'opt',
      'proc',
      'run',
      'sbin',
    ]
    expect(top.filter((name) => ![...known, 'tmp', 'usr', 'var', 'work'].includes(name))).toEqual([])
    expect(await one.text('ls -A /home /run /var /var/tmp /work /tmp /home/agent')).toBe(
      [
        '/home:',
        'agent',
        '',
        '/home/agent:',
        '',
        '/run:',
        'forge',
        '',
        '/tmp:',
        '',
        '/var:',
        'tmp',
        '',
        '/var/tmp:',
        '',
        '/work:',
      ].join('\n'),
    )
    for (const file of [
      '/etc/shadow',
      '/etc/ssh',
      '/etc/sudoers',
      '/etc/ssl/private',
      '/root',
      '/etc/machine-id',
    ])
      expect(await one.text(`ls -d ${file}`)).toContain('No such file')
  })

  it.each([
    ['the home folder', os.homedir()],
    ['/var/tmp', '/var/tmp'],
    ['/tmp', '/tmp'],
  ])('does not see files in %s', async (_, dir) => {
    const secret = await mkdtemp(path.join(dir, 'forge-secret-'))
    try {
      await writeFile(path.join(secret, 'note'), 'the host’s', { mode: 0o666 })
      expect(await one.text(`cat ${secret}/note`)).toContain('No such file')
    } finally {
      await rm(secret, { recursive: true })
    }
  })

  it('hides the settings of host programs that lie below /usr', async ({ skip }) => {
    skip(!(await stat('/usr/local/etc').catch(() => null)), 'the host has no /usr/local/etc')
    expect(await one.text('ls -A /usr/local/etc')).toBe('')
    expect(await one.text('grep " /usr/local/etc " /proc/mounts')).toMatch(/^tmpfs .* ro,/)
  })

  it('cannot write to what it is shown', async () => {
    for (const file of [
      '/usr/bin/x',
      '/etc/x',
      '/etc/passwd',
      '/run/forge/x',
      '/dev/x',
      '/opt/x',
      '/x',
      '/home/x',
    ])
      expect(await one.text(`echo x > ${file}`)).toMatch(/Read-only file system|Permission denied/)
    expect(await one.text('for f in /usr/bin /usr/lib /usr/local /etc; do test -w $f && echo $f; done')).toBe(
      '',
    )
  })

  it('inherits nothing of the server’s environment', async () => {
    const environments = await one.text('cat /proc/[0-9]*/environ | tr "\\0" "\\n"')
    expect(environments).toContain('ANTHROPIC_BASE_URL=http://127.0.0.1:4141')
    for (const name of ['VITEST', 'NODE_ENV', 'INVOCATION_ID', `PWD=${process.cwd()}`])
      expect(environments).not.toContain(name)
  })

  it('has no descriptor that it was not given', async () => {
    expect(
      await one.perl(
        'opendir my $d, "/proc/self/fd"; print join " ", grep { readlink("/proc/self/fd/$_") !~ /^pipe:|\\/proc\\/\\d+\\/fd$/ } grep /\\d/, readdir $d',
      ),
    ).toBe('')
  })
})

describe('the network', () => {
  it('has no interface but lo', async () => {
    const devices = await one.text("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '")
    expect(devices).toBe('lo')
  })

  it('reaches neither the host’s loopback nor anything else', async () => {
    const server = createServer((socket) => socket.end('the host')).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    try {
      const address = server.address()
      const port = typeof address === 'object' ? address?.port : 0
      expect(await one.text(`exec 3<>/dev/tcp/127.0.0.1/${port} && cat <&3`)).toContain('Connection refused')
      for (const ip of ['169.254.169.254', '10.0.0.1', '1.1.1.1'])
        expect(await one.text(`exec 3<>/dev/tcp/${ip}/80`)).toContain('Network is unreachable')
    } finally {
      server.close()
    }
  })
})

describe('the host’s processes', () => {
  it('are neither seen nor signalled', async () => {
    const victim = spawn('sleep', ['60'])
    try {
      expect(await one.text(`kill -9 ${victim.pid}`)).toContain('No such process')
      const pids = await one.text('ls /proc | grep -c "^[0-9]"')
      expect(Number(pids)).toBeLessThan(12)
      // The wire's own sshd is among what it ends.
      await one.wire.run({ command: 'kill -9 -1' }).catch(() => undefined)
      expect(victim.exitCode).toBeNull()
      expect(await isAlive(markOf(two))).toBe(true)
      expect(await isAlive(markOf(one))).toBe(true)
    } finally {
      victim.kill('SIGKILL')
      one = await world.start()
    }
  })

  it('keeps process 1 and its socket out of the agent’s hands', async () => {
    expect(await one.text('ls /proc/1/fd; cat /proc/1/environ; cat /proc/1/mem')).toMatch(
      /Permission denied[\s\S]*Permission denied[\s\S]*(Permission denied|Input\/output)/,
    )
    expect(await one.perl('kill "KILL", 1; select undef, undef, undef, 0.1; print "still here"')).toBe(
      'still here',
    )
  })
})

describe('the control socket', () => {
  it('has no path inside, and is in no list of sockets', async () => {
    expect(await one.text(`cat /proc/net/unix | grep -c control`)).toBe('0')
    expect(
      await one.text('find / -xdev -type s 2>/dev/null; find /tmp /work /home /var /run -type s 2>/dev/null'),
    ).toBe('')
    expect(await one.text(`ls ${world.stateDir}`)).toContain('No such file')
  })

  it('cannot be replaced: the folder that holds it is on no file system of the sandbox', async () => {
    const socket = await stat(path.join(world.stateDir, 'sandboxes', one.id, 'control'))
    expect(socket.isSocket()).toBe(true)
    expect(socket.uid).toBe(serverUid)
    expect(socket.mode & 0o777).toBe(0o600)
    const mounts = await one.text('cat /proc/self/mountinfo')
    expect(mounts).not.toContain(`${one.id} `)
  })
})

describe('two sandboxes', () => {
  it('share no files', async () => {
    for (const dir of ['/work', '/tmp', '/var/tmp', '/home/agent', '/dev/shm']) {
      await one.text(`echo secret > ${dir}/mine`)
      expect(await two.text(`cat ${dir}/mine`)).toContain('No such file')
    }
  })

  it('see none of each other’s processes', async () => {
    const process = await one.wire.exec({ command: 'exec -a a-name-of-one sleep 60' })
    await expect.poll(() => one.text('cat /proc/[0-9]*/cmdline')).toContain('a-name-of-one')
    expect(await two.text('cat /proc/[0-9]*/cmdline')).not.toContain('a-name-of-one')
    process.kill('KILL')
    await process.exit
  })

  it('share no abstract sockets, no System V memory, no POSIX queues', async () => {
    const listener = await one.wire.exec({
      command: `exec perl -MSocket -e '$|=1; socket my $s, AF_UNIX, SOCK_STREAM, 0; bind $s, pack_sockaddr_un("\\0forge-test") or die $!; listen $s, 1; print "ready\\n"; sleep 60'`,
    })
    await new Promise((resolve) => listener.stdout.once('data', resolve))
    const dial = `perl -MSocket -e 'socket my $s, AF_UNIX, SOCK_STREAM, 0; print connect($s, pack_sockaddr_un("\\0forge-test")) ? "reached" : "$!"'`
    expect(await one.text(dial)).toBe('reached')
    expect(await two.text(dial)).toBe('Connection refused')
    listener.kill('KILL')
    await listener.exit
    expect(await one.text('ipcmk -M 4096 >/dev/null; ipcs -m | grep -c 0x')).toBe('1')
    expect(await two.text('ipcs -m | grep -c 0x')).toBe('0')
  })
})
