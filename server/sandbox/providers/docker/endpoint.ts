import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { ForgeError } from '#core/errors.ts'

/** Where a Docker Engine's API is. */
export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | {
      readonly kind: 'tcp'
      readonly host: string
      readonly port: number
      readonly certificates: string | null
    }

export const defaultEndpoint = 'unix:///var/run/docker.sock'

/** Of the API: without and with TLS. */
const ports = { plain: 2375, tls: 2376 }

const invalid = (value: string, why: string, hint: string) =>
  new ForgeError('config_invalid', `${JSON.stringify(value)} is no Docker endpoint: ${why}`, { hint })

/**
 * Reads what `DOCKER_HOST` may hold. `certificates` is a folder with ca.pem, cert.pem and key.pem, as
 * `DOCKER_CERT_PATH` names it: with it the engine is reached by TLS. Throws `config_invalid`.
 */
export function parseEndpoint(value: string, certificates: string | null = null): Endpoint {
  const forms = 'write unix:///PATH or tcp://HOST:PORT'
  if (!URL.canParse(value)) throw invalid(value, 'it is no address', forms)
  const url = new URL(value)
  if (url.protocol === 'unix:') {
    if (url.host !== '' || !path.isAbsolute(url.pathname) || url.pathname === '/')
      throw invalid(value, 'the path of a socket is absolute', forms)
    return { kind: 'unix', path: decodeURIComponent(url.pathname) }
  }
  if (url.protocol === 'tcp:') {
    if (url.hostname === '') throw invalid(value, 'it names no host', forms)
    if (!['', '/'].includes(url.pathname) || url.username !== '')
      throw invalid(value, 'only a host and a port are known', forms)
    const port = url.port === '' ? ports[certificates === null ? 'plain' : 'tls'] : Number(url.port)
    // Of an address of IPv6 a URL keeps the brackets.
    return { kind: 'tcp', host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port, certificates }
  }
  throw invalid(value, `${url.protocol.slice(0, -1)} is not supported`, forms)
}

export interface TlsFiles {
  readonly ca: Buffer
  readonly cert: Buffer
  readonly key: Buffer
}

/** Throws `config_invalid` naming the file that cannot be read. */
export async function readCertificates(dir: string): Promise<TlsFiles> {
  const read = (name: string) =>
    readFile(path.join(dir, name)).catch((cause: unknown) => {
      throw new ForgeError('config_invalid', `${path.join(dir, name)} cannot be read`, { cause })
    })
  return { ca: await read('ca.pem'), cert: await read('cert.pem'), key: await read('key.pem') }
}
