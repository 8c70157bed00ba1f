import { ForgeError } from '#core/errors.ts'
import { quoteOne } from '#core/sandbox/quote.ts'
import type { ExecRequest } from './wire.ts'

/** What one string of an `execve` may hold on Linux (MAX_ARG_STRLEN), less room for what is put before it. */
const longestString = 120_000
/** sshd 9.2 ignores environment requests after the 128th. */
const mostVariables = 120

const shellName = /^[A-Za-z_][A-Za-z0-9_]*$/
/** Names that mean something to the shell that would export them, and that no configuration of sshd sets. */
const shellsOwn =
  /^(BASH.*|UID|EUID|PPID|SHELLOPTS|IFS|SHLVL|_|PS4|OPTIND|POSIXLY_CORRECT|FUNCNAME|GROUPS|DIRSTACK)$/

interface CommandLine {
  readonly command: string
  /** For SSH environment requests: unlike an argument, nobody in the guest sees them in a process list. */
  readonly env: Record<string, string>
  /** A file that the command reads and removes; null nearly always. */
  readonly script: { readonly path: string; readonly content: string } | null
}

function checkVariable(name: string, value: string): void {
  if (name === '' || /[=\0]/.test(name))
    throw new ForgeError(
      'invalid_input',
      `${JSON.stringify(name)} cannot be the name of an environment variable`,
    )
  if (value.includes('\0'))
    throw new ForgeError('invalid_input', `the environment variable ${name} holds a NUL byte`)
  if (Buffer.byteLength(name) + Buffer.byteLength(value) > longestString)
    throw new ForgeError(
      'too_large',
      `the environment variable ${name} is longer than ${longestString} bytes`,
    )
}

interface Environment {
  readonly sent: Record<string, string>
  /** Shell lines that come before the command. */
  readonly lines: string[]
  readonly overflow: boolean
}

/**
 * sshd sets HOME, PATH and whatever its configuration names after the requests of the client. So a variable
 * travels under a name of ours, and the shell gives it its own: the values never stand in an argument.
 */
function environment(variables: Record<string, string>): Environment {
  const sent: Record<string, string> = { SHLVL: '1' }
  const renamed: string[] = []
  const literal: string[] = []
  let count = 1
  for (const [name, value] of Object.entries(variables)) {
    checkVariable(name, value)
    const renames = shellName.test(name) && !shellsOwn.test(name)
    const fits = count < mostVariables
    if (!renames && !fits)
      throw new ForgeError('invalid_input', `more than ${mostVariables} environment variables`)
    if (!fits) literal.push(`export ${name}=${quoteOne(value)}`)
    else if (renames) {
      const alias = `_FORGE_${renamed.length}`
      sent[alias] = value
      renamed.push(`${name}=$${alias}`)
    } else sent[name] = value
    count++
  }
  const aliases = renamed.map((_, index) => `_FORGE_${index}`).join(' ')
  const lines = renamed.length === 0 ? [] : [`export ${renamed.join(' ')}; unset ${aliases}`]
  return { sent, lines: [...lines, ...literal], overflow: literal.length > 0 }
}

function changeDirectory(cwd: string | undefined): string[] {
  if (cwd === undefined) return []
  if (!cwd.startsWith('/') || cwd.includes('\0'))
    throw new ForgeError(
      'invalid_input',
      `the working directory ${JSON.stringify(cwd)} is not an absolute path`,
    )
  return [`cd ${quoteOne(cwd)} || exit 126`]
}

/**
 * Makes one command line of a request. Long ones, and more variables than sshd takes, go into a file of mode
 * 0600 under /tmp named after `token`, which the shell reads and removes before anything else.
 */
export function commandLine(request: Omit<ExecRequest, 'timeout' | 'signal'>, token: string): CommandLine {
  if (request.command.includes('\0')) throw new ForgeError('invalid_input', 'the command holds a NUL byte')
  const { sent, lines, overflow } = environment(request.env ?? {})
  const command = [...lines, ...changeDirectory(request.cwd), request.command].join('\n')
  if (!overflow && Buffer.byteLength(command) <= longestString) return { command, env: sent, script: null }
  const path = `/tmp/.forge-exec-${token}`
  const read = `eval "$(cat ${path}; rm -f ${path})"`
  return { command: read, env: sent, script: { path, content: command } }
}
