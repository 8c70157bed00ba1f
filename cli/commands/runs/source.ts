import { ForgeError } from '#core/errors.ts'
import type { RunSource } from '#core/run/run.ts'
import type { Http } from '../../client/http.ts'
import type { Context } from '../../context.ts'

/** `https://…`, `ssh://…`, `git@host:path`. */
export const isUrl = (text: string): boolean =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(text) || /^[\w.-]+@[\w.-]+:(?!\/\/)/.test(text)

/** Where the sandbox's work tree comes from: a URL, or a path's repository, which is uploaded. */
export async function sourceFrom(
  _context: Context,
  _http: Http,
  repo: string | undefined,
): Promise<RunSource> {
  if (repo !== undefined && isUrl(repo)) return { kind: 'url', url: repo }
  throw new ForgeError('repository_invalid', 'only repository URLs are taken')
}
