import type { RunSource } from '#core/run/run.ts'

const portOf: { readonly [scheme: string]: string } = { 'http:': '80', 'ssh:': '22', 'git:': '9418' }

/** The egress patterns for the host of a run's own repository, so that fetching from it works inside. */
export function repositoryHost(source: RunSource): string[] {
  const url = source.kind === 'url' ? source.url : source.kind === 'bundle' ? source.origin : undefined
  if (url === undefined) return []
  const scp = /^[^@/:]+@([^:/]+):/.exec(url)
  if (scp?.[1]) return [`${scp[1]}:22`, `${scp[1]}:443`]
  if (!URL.canParse(url)) return []
  const { hostname, port, protocol } = new URL(url)
  return hostname === '' ? [] : [`${hostname}:${port || (portOf[protocol] ?? '443')}`]
}
