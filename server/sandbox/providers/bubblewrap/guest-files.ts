import { guestAccount, guestPath, WORKDIR } from '../../guest-env.ts'

/** Our own /etc, whole files: what a program may expect and nothing of the host's accounts or names. */
export function guestFiles(extraPath: readonly string[]): Record<string, string> {
  const { name, uid, gid, home } = guestAccount
  return {
    '/etc/passwd': [
      'root:x:0:0:root:/root:/usr/sbin/nologin',
      `${name}:*:${uid}:${gid}:${name}:${home}:/bin/bash`,
      'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
      '',
    ].join('\n'),
    // Without a group `tty`: sshd would give it the terminals, and only root may do that.
    '/etc/group': `root:x:0:\n${name}:x:${gid}:\nnogroup:x:65534:\n`,
    '/etc/hosts': '127.0.0.1 localhost sandbox\n::1 localhost sandbox\n',
    '/etc/hostname': 'sandbox\n',
    '/etc/resolv.conf': '',
    '/etc/nsswitch.conf':
      'passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\nprotocols: files\n',
    '/etc/shells': '/bin/sh\n/bin/bash\n',
    // A login shell keeps the environment it was given; Debian's own profile would replace PATH.
    '/etc/profile': `[ -n "$PATH" ] || PATH=${guestPath(extraPath)}\nexport PATH\n[ -z "$BASH" ] || [ ! -r /etc/bash.bashrc ] || . /etc/bash.bashrc\n`,
    '/etc/bash.bashrc': `case $- in *i*) PS1='\\w \\$ '; [ "$PWD" != "$HOME" ] || cd ${WORKDIR} ;; esac\n`,
    '/etc/gitconfig':
      '[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n',
  }
}

/** Parts of the host's /etc that its programs need and that hold no secret and no name of the host. */
export const hostEtc: readonly string[] = [
  '/etc/alternatives',
  '/etc/ca-certificates',
  '/etc/ca-certificates.conf',
  '/etc/debian_version',
  '/etc/fonts',
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/localtime',
  '/etc/magic',
  '/etc/mime.types',
  '/etc/os-release',
  '/etc/pki/tls/certs',
  '/etc/pki/ca-trust/extracted',
  '/etc/protocols',
  '/etc/services',
  '/etc/ssl/certs',
  '/etc/ssl/openssl.cnf',
  '/etc/terminfo',
  '/etc/timezone',
]

/** Where our own files lie inside. */
export const guestForge = {
  sshdConfig: '/run/forge/sshd_config',
  hostKey: '/run/forge/host_key',
  authorizedKeys: '/run/forge/authorized_keys',
  tools: '/opt/forge/tools',
  bin: '/opt/forge/bin',
} as const
