import { ForgeError } from '../errors.ts'

/** The commit that the work starts from, in the bundle of a snapshot. */
export const startRef = 'refs/forge/start'

/**
 * A bundle cannot say that its history is cut short, so the snapshot names each commit at the cut with a
 * ref `refs/forge/shallow/COMMIT`. Whoever unpacks it writes them into `shallow` before anything else.
 */
export const shallowPrefix = 'refs/forge/shallow/'

/** A header with more is not one of ours. */
export const maxHeaderBytes = 4 << 20

export interface BundleHeader {
  readonly objectFormat: 'sha1' | 'sha256'
  readonly prerequisites: readonly string[]
  /** Object names by ref name. */
  readonly refs: ReadonlyMap<string, string>
  /** Where the pack begins. */
  readonly packOffset: number
}

const invalid = (why: string): ForgeError =>
  new ForgeError('repository_invalid', `the git bundle cannot be read: ${why}`)

const asText = (bytes: Uint8Array): string => new TextDecoder('utf-8').decode(bytes)

function headerEnd(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(10); at >= 0 && at < maxHeaderBytes; at = bytes.indexOf(10, at + 1))
    if (bytes[at + 1] === 10) return at + 2
  return -1
}

function parseLine(line: string, into: { prerequisites: string[]; refs: Map<string, string> }): void {
  const [, minus, object, rest] = /^(-?)([0-9a-f]{40}|[0-9a-f]{64})(?: (.*))?$/.exec(line) ?? []
  if (object === undefined) throw invalid('a line of its header is malformed')
  if (minus === '-') into.prerequisites.push(object)
  else if (rest?.startsWith('refs/') || rest === 'HEAD') into.refs.set(rest, object)
  else throw invalid('it has a ref without a name')
}

/**
 * The header at the beginning of a bundle (`gitformat-bundle`, versions 2 and 3), or null when `bytes` does
 * not hold all of it yet. Throws `repository_invalid`.
 */
export function parseBundleHeader(bytes: Uint8Array): BundleHeader | null {
  const end = headerEnd(bytes)
  if (end < 0) {
    if (bytes.length >= maxHeaderBytes) throw invalid('its header does not end')
    return null
  }
  const [signature, ...lines] = asText(bytes.subarray(0, end - 2)).split('\n')
  if (signature !== '# v2 git bundle' && signature !== '# v3 git bundle')
    throw invalid('it does not begin as one')
  let objectFormat: BundleHeader['objectFormat'] = 'sha1'
  const parsed = { prerequisites: [] as string[], refs: new Map<string, string>() }
  for (const line of lines) {
    if (!line.startsWith('@')) parseLine(line, parsed)
    else if (line === '@object-format=sha256') objectFormat = 'sha256'
    else if (line !== '@object-format=sha1') throw invalid('it needs a capability that we do not have')
  }
  return { objectFormat, ...parsed, packOffset: end }
}

/** The commits whose parents are not in the bundle. Throws `repository_invalid` for a ref that disagrees with its name. */
export function shallowCommits(header: BundleHeader): string[] {
  const named = [...header.refs].filter(([name]) => name.startsWith(shallowPrefix))
  if (named.some(([name, object]) => name !== shallowPrefix + object))
    throw invalid('it is cut short at a commit that it does not hold')
  return named.map(([, object]) => object)
}
