import { guestAccount, WORKDIR } from '#server/sandbox/guest-env.ts'

/** What lies in a guest image beyond its packages. Everything else in it belongs to root. */
export interface ImageFile {
  /** Absolute. */
  readonly path: string
  readonly mode: number
  readonly content: string
}

export interface ImageFolder {
  readonly path: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

export interface ImageUser {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
  readonly shell: string
}

/** All that decides on the content of an image, but for the versions that the Debian archive has at the time. */
export interface ImageRecipe {
  readonly suite: string
  /** Lines of apt's sources.list. */
  readonly sources: readonly string[]
  readonly packages: readonly string[]
  readonly users: readonly ImageUser[]
  readonly folders: readonly ImageFolder[]
  readonly files: readonly ImageFile[]
  /** Seconds; nothing in the image is younger. */
  readonly epoch: number
}

const { name, uid, gid, home } = guestAccount

/** Of every image: what the wire and the agent's tools need. */
export const basePackages = ['bash', 'ca-certificates', 'openssh-server', 'perl'] as const

const agentPackages = [
  'curl',
  'file',
  'g++',
  'gcc',
  'git',
  'less',
  'libc6-dev',
  'make',
  // For npm; a newer Node from the host comes before it on the PATH.
  'nodejs',
  'npm',
  'patch',
  'procps',
  'python3',
  'python3-pip',
  'python3-venv',
  'ripgrep',
  'unzip',
  'xz-utils',
] as const

const suite = 'bookworm'

export const guestRecipe: ImageRecipe = {
  suite,
  sources: [
    `deb http://deb.debian.org/debian ${suite} main`,
    `deb http://deb.debian.org/debian ${suite}-updates main`,
    `deb http://deb.debian.org/debian-security ${suite}-security main`,
  ],
  packages: [...basePackages, ...agentPackages],
  users: [{ name, uid, gid, home, shell: '/bin/bash' }],
  folders: [
    { path: WORKDIR, mode: 0o755, uid, gid },
    { path: home, mode: 0o755, uid, gid },
  ],
  files: [
    // A login shell keeps the environment it was given; Debian's own profile would replace PATH.
    {
      path: '/etc/profile',
      mode: 0o644,
      content: '[ -z "$BASH" ] || [ ! -r /etc/bash.bashrc ] || . /etc/bash.bashrc\n',
    },
    {
      path: '/etc/bash.bashrc',
      mode: 0o644,
      content: `case $- in *i*) PS1='\\w \\$ '; [ "$PWD" != "$HOME" ] || cd ${WORKDIR} ;; esac\n`,
    },
    {
      path: '/etc/gitconfig',
      mode: 0o644,
      content: '[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n',
    },
    { path: '/etc/hostname', mode: 0o644, content: 'sandbox\n' },
    { path: '/etc/resolv.conf', mode: 0o644, content: '' },
  ],
  epoch: 1_767_225_600,
}
