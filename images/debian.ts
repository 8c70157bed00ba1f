import path from 'node:path'
import { ForgeError } from '#core/errors.ts'
import type { RunCommand } from '#server/sandbox/host-tools/run.ts'
import type { ImageRecipe } from './recipe.ts'

/** What bootstrapping needs besides the recipe. */
export interface Bootstrap {
  readonly recipe: ImageRecipe
  readonly run: RunCommand
  /** For apt: `http_proxy` and `https_proxy`. */
  readonly env?: Record<string, string>
}

/** What a person can run where the tools are missing. */
export const installCommand =
  'sudo apt-get update && sudo apt-get install -y --no-install-recommends mmdebstrap debian-archive-keyring'

const refused = (doing: string, stderr: string) =>
  new ForgeError('provider_unavailable', `${doing} failed: ${stderr.trim().split('\n').slice(-5).join('; ')}`)

/** Null when images can be built here, otherwise why not. */
export async function whyNoBuild(run: RunCommand, uid: number): Promise<string | null> {
  if (uid !== 0) return 'building an image needs root'
  return (await run('mmdebstrap', ['--version'])).code === 0 ? null : 'mmdebstrap is not installed'
}

/** Documents of the packages stay out, their licences stay in. */
const excluded = ['/usr/share/man/*', '/usr/share/locale/*', '/usr/share/doc/*', '/usr/share/info/*']
const included = '/usr/share/doc/*/copyright'

const settings = [
  '--mode=root',
  '--variant=minbase',
  '--format=tar',
  // Container engines and the init of a microVM make these themselves.
  '--skip=output/dev',
  '--dpkgopt=force-unsafe-io',
  ...excluded.map((glob) => `--dpkgopt=path-exclude=${glob}`),
  `--dpkgopt=path-include=${included}`,
]

const targets = ({ recipe }: Bootstrap, output: string): string[] => [
  `--include=${recipe.packages.join(',')}`,
  recipe.suite,
  output,
  ...recipe.sources,
]

const environment = ({ recipe, env }: Bootstrap): Record<string, string> => ({
  ...env,
  SOURCE_DATE_EPOCH: String(recipe.epoch),
})

/** The packages that the archive would give today, each as `NAME=VERSION`, sorted. Throws `provider_unavailable`. */
export async function resolvePackages(bootstrap: Bootstrap): Promise<string[]> {
  const args = [...settings, '--simulate', '--verbose', ...targets(bootstrap, '/dev/null')]
  const { code, stdout, stderr } = await bootstrap.run('mmdebstrap', args, { env: environment(bootstrap) })
  if (code !== 0) throw refused('asking the Debian archive', stderr)
  const found = [...`${stdout}\n${stderr}`.matchAll(/^Inst (\S+) \((\S+) /gm)]
  return [...new Set(found.map(([, name, version]) => `${name}=${version}`))].sort()
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** Shell lines that run when all packages are there; `$1` is the root file system. */
function finishing(recipe: ImageRecipe, work: string): string[] {
  const users = recipe.users.flatMap(({ name, uid, gid, home, shell }) => [
    `printf '%s\\n' ${quoted(`${name}:*:${uid}:${gid}:${name}:${home}:${shell}`)} >>"$1/etc/passwd"`,
    `printf '%s\\n' ${quoted(`${name}:x:${gid}:`)} >>"$1/etc/group"`,
  ])
  return [
    ...users,
    // Made by the package's own script: a key that many machines share is none.
    'rm -f "$1"/etc/ssh/ssh_host_*',
    // Nobody inside may become somebody else.
    'find "$1" -xdev -type f -perm /6000 -exec chmod ug-s {} +',
    // Compiled Python differs from build to build, and the old copies of dpkg's files with it.
    'find "$1" -xdev -depth -type d -name __pycache__ -exec rm -rf {} +',
    'rm -f "$1"/etc/passwd- "$1"/etc/group- "$1"/etc/shadow- "$1"/etc/gshadow- "$1"/var/lib/dpkg/*-old',
    `tar-in ${path.join(work, overlayName)} /`,
    `chroot "$1" dpkg-query -W -f '\${Package}=\${Version}\\n' >${quoted(path.join(work, packagesName))}`,
  ]
}

/** Names in the build's own folder. */
export const overlayName = 'overlay.tar'
export const packagesName = 'packages'

/** Makes `output` in `work`, where the overlay already lies. Throws `provider_unavailable`, `disk_full`. */
export async function bootstrapRoot(bootstrap: Bootstrap, work: string, output: string): Promise<void> {
  const hooks = finishing(bootstrap.recipe, work).map((line) => `--customize-hook=${line}`)
  const args = [...settings, '--quiet', ...hooks, ...targets(bootstrap, output)]
  const env = { ...environment(bootstrap), TMPDIR: work }
  const { code, stderr } = await bootstrap.run('mmdebstrap', args, { env })
  if (code === 0) return
  if (/no space left on device/i.test(stderr))
    throw new ForgeError('disk_full', `no space to build an image in ${work}`)
  throw refused('building the image', stderr)
}
