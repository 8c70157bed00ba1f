/** What is run as the server: code that an earlier start compiled is not compiled again. */
import { enableCompileCache, flushCompileCache } from 'node:module'
import { homedir } from 'node:os'
import path from 'node:path'

/** By then all that a start calls has been compiled; the end of the process may be a kill, which saves nothing. */
const saveAfter = 3000

enableCompileCache(
  path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'forge', 'compile'),
)
await import('./main.ts')
setTimeout(flushCompileCache, saveAfter).unref()
