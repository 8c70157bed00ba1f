import { ForgeError } from '#core/errors.ts'
import { quoteOne } from './quote.ts'
import type { ExecRequest } from './wire.ts'

/** What one string of an `execve` may hold on Linux (MAX_ARG_STRLEN), less room for what is put before it. */
const longestString = 120_000
/** sshd 9.2 ignores environment requests after the 128th. */
const mostVariables = 120
const shellName = /^[A-Za-z_][A-Za-z0-9_]*$/

/** sshd sets these itself, after the requests of the client. */
const setBySshd = new Set(['USER', 'LOGNAME', 'HOME', 'PATH', 'MAIL', 'SHELL', 'TZ', 'TERM'])

export interface Prepared {
  readonly command: string
  /** For SSH environment requests: unlike an argument, nobody else in the guest sees them in a process list. */
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

function checkCwd(cwd: string): void {
  if (!cwd.startsWith('/') || cwd.includes('\0'))
    throw new ForgeError(
      'invalid_input',
      `the working directory ${JSON.stringify(cwd)} is not an absolute path`,
    )
}

/**
 * Makes one command line of a request. Long ones, and more variables than sshd takes, go into a file of mode
 * 0600 under /tmp named after `token`, which the shell reads and removes before anything else.
 */
export function prepare(request: Omit<ExecRequest, 'timeout' | 'signal'>, token: string): Prepared {
  const env: Record<string, string> = { SHLVL: '1' }
  const lines: string[] = []
  let sent = 1
  for (const [name, value] of Object.entries(request.env ?? {})) {
    checkVariable(name, value)
    const isShellName = shellName.test(name)
    if (setBySshd.has(name) || name.startsWith('SSH_') || (sent >= mostVariables && isShellName)) {
      if (!isShellName) throw new ForgeError('invalid_input', `the variable ${name} cannot be set`)
      lines.push(`export ${name}=${quoteOne(value)}`)
    } else if (sent >= mostVariables) {
      throw new ForgeError(
        'invalid_input',
        `more than ${mostVariables} variables with names no shell can set`,
      )
    } else {
      env[name] = value
      sent++
    }
  }
  if (request.cwd !== undefined) {
    checkCwd(request.cwd)
    lines.push(`cd ${quoteOne(request.cwd)} || exit 126`)
  }
  if (request.command.includes('\0')) throw new ForgeError('invalid_input', 'the command holds a NUL byte')
  const command = [...lines, request.command].join('\n')
  const overflow = lines.length > 20
  if (!overflow && Buffer.byteLength(command) <= longestString) return { command, env, script: null }
  const path = `/tmp/.forge-exec-${token}`
  return {
    command: `eval "$(cat ${path}; rm -f ${path})"`,
    env,
    script: { path, content: command },
  }
}
