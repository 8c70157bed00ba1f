/** Brings what the embedded sandbox provider needs on this host. Run by `npm run quickstart` and `npm test`. */
import { homedir } from 'node:os'
import { ForgeError } from '#core/errors.ts'
import { toolsDir } from './lifecycle/places.ts'
import { ensureHostTools } from './sandbox/host-tools/ensure.ts'

const say = (line: string) => process.stderr.write(`  ${line}\n`)

try {
  const dir = toolsDir(process.env, { uid: process.geteuid?.() ?? -1, home: homedir() })
  const tools = await ensureHostTools({ dir, install: 'if-possible', onProgress: say })
  say(`bwrap ${tools.bwrap}, sshd ${tools.sshd.path}, rg ${tools.rg}`)
} catch (thrown) {
  const error = ForgeError.from(thrown)
  say(error.message)
  if (error.hint) say(error.hint)
  process.exitCode = error.row.exit
}
