import ssh2 from 'ssh2'

export interface KeyPair {
  /** OpenSSH private key, unencrypted. */
  readonly privateKey: string
  /** One line, `ssh-ed25519 BASE64`. */
  readonly publicKey: string
}

/** A new ed25519 pair. ssh2 1.17 writes about one in 256 so that it cannot read it itself: those are drawn again. */
export function makeKeyPair(): KeyPair {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519')
    if (ssh2.utils.parseKey(pair.private) instanceof Error) continue
    return { privateKey: pair.private, publicKey: pair.public }
  }
}
