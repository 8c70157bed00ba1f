import { ForgeError } from '#core/errors.ts'

/** What the driver is given for a DATABASE_URL; `path` is the unix socket, which it does not find in a URL by itself. */
export interface ParsedUrl {
  readonly url: string
  readonly path?: string
}

/** libpq lets the host be empty after a user; the URL standard does not. */
const withHost = (text: string): string => text.replace(/^(\w+:\/\/[^/?#@]*@)(?=[/?#]|$)/, '$1localhost')

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/**
 * Understands the two forms of libpq for a socket: `postgres:///DB?host=/DIR` and `postgres://%2FDIR/DB`.
 * An `application_name` is dropped: Forge tells its own connections apart by theirs.
 * Throws `config_invalid`.
 */
export function parseDatabaseUrl(text: string): ParsedUrl {
  const whole = withHost(text)
  const url = URL.canParse(whole) ? new URL(whole) : null
  if (url === null || (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:'))
    throw new ForgeError('config_invalid', 'DATABASE_URL is not a PostgreSQL URL', {
      hint: 'it looks like postgres://USER:PASSWORD@HOST:5432/DATABASE',
    })
  url.searchParams.delete('application_name')
  const host = url.searchParams.get('host') ?? decoded(url.hostname)
  url.searchParams.delete('host')
  if (!host.startsWith('/')) {
    if (host !== '') url.hostname = host
    return { url: url.toString() }
  }
  const port = url.searchParams.get('port') ?? (url.port || '5432')
  url.searchParams.delete('port')
  url.hostname = 'localhost'
  return { url: url.toString(), path: `${host}/.s.PGSQL.${port}` }
}

/** The URL with `***` for its password, fit for messages and logs. */
export function maskUrl(text: string): string {
  const whole = withHost(text)
  if (!URL.canParse(whole)) return 'the given URL'
  const url = new URL(whole)
  if (url.password !== '') url.password = '***'
  for (const name of ['password', 'sslpassword', 'sslkey'])
    if (url.searchParams.has(name)) url.searchParams.set(name, '***')
  return url.toString()
}
