import { buffer } from 'node:stream/consumers'
import { pack } from 'tar-stream'
import { guestEnv, sshdSetEnv } from '../../guest-env.ts'
import { sshdConfig } from '../../wire/sshd-config.ts'

/** A volume of the sandbox's own, in which only root may write: the engine fills it, and nobody inside is root. */
export const forgeDir = '/run/forge'

const paths = {
  sshdConfig: `${forgeDir}/sshd_config`,
  hostKey: `${forgeDir}/host_key`,
  authorizedKeys: `${forgeDir}/authorized_keys`,
  init: `${forgeDir}/init`,
}

/** Programs that an image must have, each at this place. */
export const requiredPrograms = ['/usr/sbin/sshd', '/usr/bin/perl', '/bin/bash'] as const

export const sshdCommand: readonly string[] = [requiredPrograms[0], '-i', '-f', paths.sshdConfig]

/** prctl(2), by the engine's name of its machine. */
const prctl: Record<string, number> = { x86_64: 157, aarch64: 167 }

export const initCommand = (machine: string): string[] => [
  requiredPrograms[1],
  paths.init,
  String(prctl[machine] ?? 0),
]

/**
 * Process 1: holds the sandbox while nothing else runs in it, and by ignoring SIGCHLD makes the kernel reap
 * every orphan. It is not dumpable, so that the agent, which has the same uid, cannot trace it. It handles no
 * signal: one from inside that process 1 does not handle never reaches it.
 */
const init = `use strict; use warnings;
syscall($ARGV[0] + 0, 4, 0, 0, 0, 0) == 0 or die "prctl: $!";
$SIG{CHLD} = 'IGNORE';
open STDIN, '<', '/dev/null'; open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null';
select undef, undef, undef, 86400 while 1;
`

/** Debian's, and so that of the images that are made from ours: for a host without certificates of its own. */
const imagesBundle = '/etc/ssl/certs/ca-certificates.crt'
const hostsBundle = `${forgeDir}/ca-certificates.crt`

export interface GuestContent {
  readonly clientPublicKey: string
  readonly hostPrivateKey: string
  /** The host's trusted certificates: what it reaches through a company's proxy, the sandbox reaches too. */
  readonly certificates: string | null
}

function environment(certificates: string | null): Record<string, string> {
  const caBundle = certificates === null ? imagesBundle : hostsBundle
  // Git and curl do not all read the variables that other programs do.
  return { ...guestEnv({ extraPath: [], caBundle }), GIT_SSL_CAINFO: caBundle, CURL_CA_BUNDLE: caBundle }
}

/** What goes into `forgeDir`, as a tar archive. Readable by all inside: the sshd there has the agent's uid. */
export async function guestArchive(content: GuestContent): Promise<Buffer> {
  const { certificates } = content
  const config = sshdConfig({ hostKey: paths.hostKey, authorizedKeys: paths.authorizedKeys })
  const files: Record<string, string> = {
    [paths.sshdConfig]: `${config}${sshdSetEnv(environment(certificates))}\n`,
    [paths.hostKey]: content.hostPrivateKey,
    [paths.authorizedKeys]: `${content.clientPublicKey}\n`,
    [paths.init]: init,
    ...(certificates === null ? {} : { [hostsBundle]: certificates }),
  }
  const archive = pack()
  for (const [path, text] of Object.entries(files))
    archive.entry({ name: path.slice(forgeDir.length + 1), mode: 0o644, uid: 0, gid: 0 }, text)
  archive.finalize()
  return buffer(archive)
}
