/** The account that a guest's sshd lets in; its `passwd` entry must name bash as the shell. */
export const guestUser = 'forge'

/** Paths as the guest sees them; none may hold white space. */
interface SshdPaths {
  readonly hostKey: string
  /** Holds the one client key. It may belong to anybody: the guest's own user could replace it at most for itself. */
  readonly authorizedKeys: string
}

/** OpenSSH's default lets 10 channels live at a time; a busy agent and its terminals need more. */
const maxSessions = 256

/**
 * The `sshd_config` of every guest, for `sshd -i -f FILE` under the guest's own unprivileged user.
 * There is one client, the server, and its only way in is the provider's stream.
 */
export function sshdConfig(paths: SshdPaths): string {
  const lines = [
    `HostKey ${paths.hostKey}`,
    `AuthorizedKeysFile ${paths.authorizedKeys}`,
    'PidFile none',
    'UsePAM no',
    'StrictModes no',
    'AuthenticationMethods publickey',
    'PubkeyAuthentication yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'HostbasedAuthentication no',
    // The guest's user may be uid 0 of a machine of its own.
    'PermitRootLogin prohibit-password',
    'PermitEmptyPasswords no',
    'PermitUserEnvironment no',
    'PermitUserRC no',
    'AcceptEnv *',
    `MaxSessions ${maxSessions}`,
    'MaxAuthTries 3',
    'LoginGraceTime 30',
    'AllowTcpForwarding yes',
    'PermitOpen 127.0.0.1:*',
    'PermitListen 127.0.0.1:*',
    'GatewayPorts no',
    'AllowStreamLocalForwarding no',
    'AllowAgentForwarding no',
    'X11Forwarding no',
    'PermitTunnel no',
    'Compression no',
    'UseDNS no',
    'PrintMotd no',
    'PrintLastLog no',
    'TCPKeepAlive no',
    // The server side notices a dead peer; the guest's sshd ends when its stream does.
    'ClientAliveInterval 0',
    'RekeyLimit default none',
    'LogLevel ERROR',
    'Subsystem sftp internal-sftp',
  ]
  return `${lines.join('\n')}\n`
}
