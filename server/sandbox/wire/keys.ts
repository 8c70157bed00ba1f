import ssh2 from 'ssh2'

export interface KeyPair {
  /** OpenSSH private key, unencrypted. */
  readonly privateKey: string
  /** One line, `ssh-ed25519 BASE64`. */
  readonly publicKey: string
}

/** A new ed25519 pair. */
export function makeKeyPair(): KeyPair {
  const pair = ssh2.utils.generateKeyPairSync('ed25519')
  return { privateKey: pair.private, publicKey: pair.public }
}
