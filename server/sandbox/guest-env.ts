import { guestUser } from './wire/sshd-config.ts'

/** Ports on 127.0.0.1 inside every sandbox, which the wire forwards to the server. */
export const guestPorts = { egressProxy: 3128, modelGateway: 4141 } as const

/** Stands where a key would: the gateway strips it and adds the server's own. */
const placeholderKey = 'forge-gateway'

export const guestAccount = { name: guestUser, uid: 1000, gid: 1000, home: '/home/agent' } as const

/** Where the work tree goes: the agent's own, empty at first. */
export const WORKDIR = '/work'

/** `extraPath` comes last: what the sandbox has of its own wins. */
export function guestPath(extraPath: readonly string[] = []): string {
  const own = [
    `${guestAccount.home}/.local/bin`,
    '/usr/local/sbin',
    '/usr/local/bin',
    '/usr/sbin',
    '/usr/bin',
  ]
  return [...own, '/sbin', '/bin', ...extraPath].join(':')
}

interface GuestFacts {
  /** Folders that come last on the PATH. */
  readonly extraPath: readonly string[]
  /** The guest's file of trusted certificates, for the programs that bring their own list and would miss a company's. */
  readonly caBundle: string | null
}

/** What every command and terminal in a sandbox of any provider starts with. */
export function guestEnv({ extraPath, caBundle }: GuestFacts): Record<string, string> {
  const proxy = `http://127.0.0.1:${guestPorts.egressProxy}`
  const gateway = `http://127.0.0.1:${guestPorts.modelGateway}`
  const direct = 'localhost,127.0.0.1,::1'
  return {
    PATH: guestPath(extraPath),
    HOME: guestAccount.home,
    USER: guestAccount.name,
    LOGNAME: guestAccount.name,
    SHELL: '/bin/bash',
    LANG: 'C.UTF-8',
    TMPDIR: '/tmp',
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    http_proxy: proxy,
    https_proxy: proxy,
    NO_PROXY: direct,
    no_proxy: direct,
    NODE_USE_ENV_PROXY: '1',
    ANTHROPIC_BASE_URL: gateway,
    ANTHROPIC_API_KEY: placeholderKey,
    OPENAI_BASE_URL: `${gateway}/v1`,
    OPENAI_API_KEY: placeholderKey,
    npm_config_prefix: `${guestAccount.home}/.local`,
    npm_config_update_notifier: 'false',
    npm_config_fund: 'false',
    npm_config_audit: 'false',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    // Debian marks its Python as managed; here /usr is read-only, so pip installs below HOME.
    PIP_BREAK_SYSTEM_PACKAGES: '1',
    GIT_TERMINAL_PROMPT: '0',
    ...(caBundle === null
      ? {}
      : { NODE_EXTRA_CA_CERTS: caBundle, SSL_CERT_FILE: caBundle, REQUESTS_CA_BUNDLE: caBundle }),
  }
}

/** One `SetEnv` line of sshd_config: OpenSSH uses only the first such line, so all go on it. */
export const sshdSetEnv = (env: Record<string, string>): string =>
  `SetEnv ${Object.entries(env)
    .map(([name, value]) => `${name}="${value.replace(/["\\]/g, '\\$&')}"`)
    .join(' ')}`
